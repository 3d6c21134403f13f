"""An even split of the budget over the channels, paced by the platforms: the naive default."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaelp_rl.config.calibration import make_calibration_arrays
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.plans import PlanBatch

__all__ = ["EvenSplit", "EvenSplitParams"]


@dataclass(frozen=True, slots=True)
class EvenSplitParams:
    """What can be tuned.

    Attributes:
        bid_ratio: bid of every channel as a multiple of its prior median competing bid.
    """

    bid_ratio: float = 0.8


class EvenSplit:
    """A quarter of the daily budget for each channel, the same bid level everywhere.

    Attributes:
        name: ``even-split``.
    """

    name = "even-split"

    def __init__(self, family: FamilyConfig, params: EvenSplitParams | None = None) -> None:
        self.params = params or EvenSplitParams()
        self._budget = family.objective.daily_budget / NUM_CHANNELS
        self._bid = self.params.bid_ratio * make_calibration_arrays(family.calibration).price_median

    def reset(self, ledger: ReportLedger) -> None:
        """Nothing is remembered."""

    def plan(self, ledger: ReportLedger) -> PlanBatch:
        """The plan, whatever was reported."""
        shape = (ledger.num_worlds, NUM_CHANNELS)
        return PlanBatch.from_currency(np.broadcast_to(self._bid, shape), np.full(shape, self._budget))

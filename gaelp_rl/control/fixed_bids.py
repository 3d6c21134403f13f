"""Fixed bids and a fixed split of the budget, set once: what many accounts run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaelp_rl.config.calibration import make_calibration_arrays
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.plans import PlanBatch

__all__ = ["FixedBids", "FixedBidsParams"]


@dataclass(frozen=True, slots=True)
class FixedBidsParams:
    """What can be tuned.

    Attributes:
        bid_ratio: bid of every channel as a multiple of its prior median competing bid.
        budget_weights: [channels]; split of the daily budget, in proportion to these.
    """

    bid_ratio: float = 0.8
    budget_weights: tuple[float, ...] = (0.45, 0.25, 0.1, 0.2)


class FixedBids:
    """The same bids and channel budgets in every hour of every world; platforms pace.

    Attributes:
        name: ``fixed-bids``.
    """

    name = "fixed-bids"

    def __init__(self, family: FamilyConfig, params: FixedBidsParams | None = None) -> None:
        self.params = params or FixedBidsParams()
        weights = np.array(self.params.budget_weights)
        self._budget = family.objective.daily_budget * weights / weights.sum()
        self._bid = self.params.bid_ratio * make_calibration_arrays(family.calibration).price_median

    def reset(self, ledger: ReportLedger) -> None:
        """Nothing is remembered."""

    def plan(self, ledger: ReportLedger) -> PlanBatch:
        """The plan, whatever was reported."""
        shape = (ledger.num_worlds, self._bid.size)
        return PlanBatch.from_currency(np.broadcast_to(self._bid, shape), np.broadcast_to(self._budget, shape))

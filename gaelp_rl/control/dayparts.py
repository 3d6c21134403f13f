"""Static bids by channel and part of the day, tuned once for a family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaelp_rl.control.market_model import MarketModel
from gaelp_rl.domain.ledger import HOURS_PER_DAY, ReportLedger
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import PlanBatch

__all__ = ["DAYPART_HOURS", "StaticDayparts", "StaticDaypartsParams"]

DAYPART_HOURS = 8
"""Hours of one part of the day: night from 0, day from 8, evening from 16."""


@dataclass(frozen=True, slots=True)
class StaticDaypartsParams:
    """What can be tuned: the bid of a channel in a part of the day is the product of two ratios.

    Attributes:
        channel_bid_ratio: [channels]; multiple of the prior median competing bid.
        daypart_bid_ratio: [dayparts]; night, day, evening.
    """

    channel_bid_ratio: tuple[float, ...] = (0.9, 0.8, 0.6, 1.0)
    daypart_bid_ratio: tuple[float, ...] = (0.8, 1.1, 1.0)


class StaticDayparts:
    """Bids of 4 channels x 3 dayparts, device modifiers by the prior; only the account's limit binds.

    Attributes:
        name: ``static-dayparts``.
    """

    name = "static-dayparts"

    def __init__(self, model: MarketModel, objective: Objective, params: StaticDaypartsParams | None = None) -> None:
        self.params = params or StaticDaypartsParams()
        self._daily_budget = objective.daily_budget
        self._modifier = model.device_modifier
        by_channel = model.price_median * np.array(self.params.channel_bid_ratio)
        self._bids = np.outer(self.params.daypart_bid_ratio, by_channel)

    def reset(self, ledger: ReportLedger) -> None:
        """Nothing is remembered."""

    def plan(self, ledger: ReportLedger) -> PlanBatch:
        """The plan of the hour's daypart, whatever was reported."""
        bid = self._bids[ledger.hour % HOURS_PER_DAY // DAYPART_HOURS]
        shape = (ledger.num_worlds, bid.size)
        modifier = np.broadcast_to(self._modifier, (ledger.num_worlds, *self._modifier.shape))
        return PlanBatch.from_currency(np.broadcast_to(bid, shape), np.full(shape, self._daily_budget), modifier)

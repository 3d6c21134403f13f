"""The plans of a log: what was in force on a channel, as what must have been set for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from gaelp_rl.control.market_model import MarketModel
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES, Channel
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import DataError
from gaelp_rl.response.observations import PlannedHour

__all__ = ["list_logged_plans"]


def list_logged_plans(
    plans: Mapping[tuple[Channel, datetime], PlannedHour],
    first_day: date,
    hours: int,
    zone: ZoneInfo,
    model: MarketModel,
) -> tuple[list[PlanBatch], int]:
    """The plan of every hour, for one world.

    Slow platforms follow a plan an hour later, so theirs is read an hour ahead. Where nothing was in
    force the channel is paused and keeps its bid and budget. The base bid is the one that the controller's
    device factors would have made the logged bids of, at the mean over devices.

    Args:
        plans: in force, by channel and start of the hour in UTC.
        first_day: of the log, account time.
        hours: how many.
        zone: the account's.
        model: of the controller.

    Returns:
        The plans, and how many (channel, hour) had none.

    Raises:
        DataError: a channel has no plan at all with a bid above 0.
    """
    start = datetime.combine(first_day, time(), zone).astimezone(UTC)
    modifier = np.array(model.device_modifier)
    bid, budget = np.zeros((hours, NUM_CHANNELS)), np.zeros((hours, NUM_CHANNELS))
    active = np.zeros((hours, NUM_CHANNELS), dtype=np.bool_)
    for c, channel in enumerate(CHANNELS):
        rules = PLATFORM_RULES[channel]
        factors = modifier[c] if rules.device_modifiers else np.ones(NUM_DEVICES)
        for hour in range(hours):
            ahead = min(hour + rules.plan_delay_hours, hours - 1)
            planned = plans.get((channel, start + timedelta(hours=ahead)))
            if planned is not None and planned.active and min(planned.bid) > 0.0:
                bid[hour, c] = float(np.exp(np.log(np.array(planned.bid) / factors).mean()))
                budget[hour, c], active[hour, c] = planned.daily_budget, True
        if not active[:, c].any():
            msg = f"the plans of {channel} hold no hour with a bid from {first_day} on: transitions need all channels"
            raise DataError(msg)
        _fill(bid[:, c], budget[:, c], active[:, c])
    shown = [
        PlanBatch.from_currency(bid[h : h + 1], budget[h : h + 1], modifier[None], active[h : h + 1])
        for h in range(hours)
    ]
    return shown, int((~active).sum())


def _fill(bid: FloatArray, budget: FloatArray, active: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
    """Copies the last plan into hours without one, the first into hours before it; in place."""
    source = np.maximum.accumulate(np.where(active, np.arange(active.size), -1))
    source[source < 0] = int(active.argmax())
    bid[:], budget[:] = bid[source], budget[source]

"""Static dayparts: three plans a day, at fixed borders."""

from __future__ import annotations

import numpy as np

from gaelp_rl.config.market import load_family
from gaelp_rl.control.dayparts import StaticDayparts, StaticDaypartsParams
from gaelp_rl.control.market_model import make_market_model
from gaelp_rl.domain.money import MICROS
from tests.gaelp_rl.control.accounts import make_ledger, play, sample_reports

FAMILY = load_family("campaign")
MODEL = make_market_model(FAMILY)


def test_dayparts__bids_change_only_at_the_borders() -> None:
    planner = StaticDayparts(MODEL, FAMILY.objective, StaticDaypartsParams(daypart_bid_ratio=(0.5, 1.0, 1.5)))
    plans = play(planner, make_ledger(), sample_reports(np.random.default_rng(0), 1, 48))
    changes = [hour for hour in range(1, 49) if (plans[hour].bid_micros != plans[hour - 1].bid_micros).any()]
    assert changes == [8, 16, 24, 32, 40, 48]


def test_dayparts__bid_is_the_product_of_channel_and_daypart() -> None:
    """Google at night: 3.50 x 1.2 x 0.5 = 2.10; TikTok in the evening: 0.70 x 2.0 x 1.5 = 2.10."""
    params = StaticDaypartsParams(channel_bid_ratio=(1.2, 1.0, 2.0, 1.0), daypart_bid_ratio=(0.5, 1.0, 1.5))
    plans = play(
        StaticDayparts(MODEL, FAMILY.objective, params), make_ledger(), sample_reports(np.random.default_rng(0), 1, 20)
    )
    assert plans[3].bid_micros[0, 0] == 2.10 * MICROS
    assert plans[20].bid_micros[0, 2] == 2.10 * MICROS


def test_dayparts__no_channel_budget_binds() -> None:
    plan = StaticDayparts(MODEL, FAMILY.objective).plan(make_ledger())
    assert (plan.daily_budget_micros == FAMILY.daily_budget_micros).all()

"""Fixed bids: nothing that is reported changes them."""

from __future__ import annotations

import numpy as np

from gaelp_rl.config.market import load_family
from gaelp_rl.control.fixed_bids import FixedBids, FixedBidsParams
from gaelp_rl.domain.money import MICROS
from tests.gaelp_rl.control.accounts import make_ledger, play, sample_reports

FAMILY = load_family("campaign")


def test_fixed_bids__plan_is_the_same_in_every_hour() -> None:
    plans = play(FixedBids(FAMILY), make_ledger(3), sample_reports(np.random.default_rng(0), 3, 30))
    for plan in plans:
        np.testing.assert_array_equal(plan.bid_micros, plans[0].bid_micros)
        np.testing.assert_array_equal(plan.daily_budget_micros, plans[0].daily_budget_micros)


def test_fixed_bids__budget_is_split_by_the_weights() -> None:
    """Weights 3:1:1:1 of $500 are $250 and three times $83.33; bids are half of $3.50, 1.20, 0.70, 2.20."""
    planner = FixedBids(FAMILY, FixedBidsParams(bid_ratio=0.5, budget_weights=(3.0, 1.0, 1.0, 1.0)))
    plan = planner.plan(make_ledger())
    np.testing.assert_array_equal(plan.daily_budget_micros[0], np.array([250.0, 83.33, 83.33, 83.33]) * MICROS)
    np.testing.assert_array_equal(plan.bid_micros[0], np.array([1.75, 0.6, 0.35, 1.1]) * MICROS)

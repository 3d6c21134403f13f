"""The even split: a quarter of the budget each, whatever happens."""

from __future__ import annotations

import numpy as np

from gaelp_rl.config.market import load_family
from gaelp_rl.control.even_split import EvenSplit, EvenSplitParams
from gaelp_rl.domain.money import MICROS
from tests.gaelp_rl.control.accounts import make_ledger, play, sample_reports

FAMILY = load_family("campaign")


def test_even_split__a_quarter_each_at_one_bid_level() -> None:
    plan = EvenSplit(FAMILY, EvenSplitParams(bid_ratio=2.0)).plan(make_ledger(2))
    assert (plan.daily_budget_micros == 125 * MICROS).all()
    np.testing.assert_array_equal(plan.bid_micros[1], np.array([7.0, 2.4, 1.4, 4.4]) * MICROS)


def test_even_split__reports_change_nothing() -> None:
    plans = play(EvenSplit(FAMILY), make_ledger(2), sample_reports(np.random.default_rng(1), 2, 26))
    assert len({plan.bid_micros.tobytes() for plan in plans}) == 1

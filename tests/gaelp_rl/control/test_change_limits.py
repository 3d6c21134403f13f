"""The platforms' inertia as a filter on plans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.control.change_limits import EDIT_RATIO, INERTIAL, is_edit_hour, limit_changes
from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from tests.gaelp_rl.control.accounts import make_ledger, make_report

META = CHANNELS.index(Channel.META)
CENT = MICROS // 100

bids = st.lists(st.floats(0.02, 20.0), min_size=4, max_size=4)
budgets = st.lists(st.floats(0.0, 500.0), min_size=4, max_size=4)


def make_plan(bid: list[float], budget: list[float]) -> PlanBatch:
    return PlanBatch.from_currency(np.array([bid]), np.array([budget]))


def test_inertial__is_meta_and_tiktok() -> None:
    assert [channel for channel, inertial in zip(CHANNELS, INERTIAL, strict=True) if inertial] == ["meta", "tiktok"]


def test_is_edit_hour__is_twice_a_day() -> None:
    assert [hour for hour in range(48) if is_edit_hour(hour)] == [0, 12, 24, 36]


def test_limit_changes__holds_inertial_channels_between_edit_hours() -> None:
    ledger = make_ledger()
    ledger.observe(make_report(1))
    limited = limit_changes(make_plan([9.0] * 4, [400.0] * 4), ledger)
    np.testing.assert_array_equal(limited.bid_micros[0], np.array([9.0, 1.2, 0.7, 9.0]) * MICROS)
    np.testing.assert_array_equal(limited.daily_budget_micros[0], np.array([400.0, 125.0, 125.0, 400.0]) * MICROS)


@pytest.mark.parametrize(("wanted", "becomes"), [(9.0, 1.44), (1.3, 1.3), (0.1, 0.96)])
def test_limit_changes__moves_by_a_fifth_at_most(wanted: float, becomes: float) -> None:
    """Meta's bid in force is $1.20: 20 % of it is 24 cents either way."""
    limited = limit_changes(make_plan([wanted] * 4, [125.0] * 4), make_ledger())
    assert limited.bid_micros[0, META] == round(becomes * 100) * CENT


@given(bids, budgets)
def test_limit_changes__twice_is_once(bid: list[float], budget: list[float]) -> None:
    ledger = make_ledger()
    once = limit_changes(make_plan(bid, budget), ledger)
    twice = limit_changes(once, ledger)
    np.testing.assert_array_equal(once.bid_micros, twice.bid_micros)
    np.testing.assert_array_equal(once.daily_budget_micros, twice.daily_budget_micros)


@given(bids, budgets)
def test_limit_changes__never_restarts_a_learning_phase(bid: list[float], budget: list[float]) -> None:
    """A platform punishes what moves by more than the ratio and one cent."""
    ledger = make_ledger()
    limited = limit_changes(make_plan(bid, budget), ledger)
    for wanted, held in ((limited.bid_micros, ledger.bid), (limited.daily_budget_micros, ledger.daily_budget)):
        moved = np.abs(wanted - held * MICROS)[0, INERTIAL]
        assert (moved <= EDIT_RATIO * held[0, INERTIAL] * MICROS + CENT).all()


@given(bids)
def test_limit_changes__reaches_any_bid_in_the_end(bid: list[float]) -> None:
    """The cent that is always allowed keeps a very small bid from sticking."""
    ledger = make_ledger()
    wanted = make_plan(bid, [125.0] * 4)
    for _ in range(60):
        ledger.record_plan(limit_changes(wanted, ledger))
    np.testing.assert_allclose(ledger.bid, wanted.bid_micros / MICROS)

"""Plans as arrays: rounded to whole cents, which every platform accepts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaelp_rl.domain.plans import PlanBatch


@given(arrays(np.float64, (2, 4), elements=st.floats(0.0, 10_000.0)))
def test_from_currency__is_whole_cents_within_half_a_cent(amounts) -> None:
    plan = PlanBatch.from_currency(amounts, amounts)
    for micros in (plan.bid_micros, plan.daily_budget_micros):
        assert micros.dtype == np.int64
        assert (micros % 10_000 == 0).all()
        assert (np.abs(micros / 1e6 - amounts) <= 0.005 + 1e-9).all()


def test_from_currency__fills_in_neutral_modifiers_and_active() -> None:
    plan = PlanBatch.from_currency(np.ones((2, 4)), np.ones((2, 4)))
    assert plan.num_worlds == 2
    assert plan.active.all()
    np.testing.assert_array_equal(plan.device_modifier, np.ones((2, 4, 3)))
    modifiers, active = np.full((2, 4, 3), 0.5), np.zeros((2, 4), dtype=np.bool_)
    given_both = PlanBatch.from_currency(np.ones((2, 4)), np.ones((2, 4)), modifiers, active)
    assert given_both.device_modifier is modifiers
    assert given_both.active is active

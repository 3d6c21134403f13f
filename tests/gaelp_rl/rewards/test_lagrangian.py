"""CPA constraint and its multiplier."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.errors import ConfigError
from gaelp_rl.rewards.lagrangian import LagrangeMultiplier, compute_constrained_reward, compute_cpa_cost

_MONEY = st.floats(0.0, 1e4)
_COUNTS = st.floats(0.01, 100.0)


@given(st.lists(st.tuples(_MONEY, _COUNTS), min_size=1, max_size=20), st.floats(1.0, 200.0))
def test_cpa_cost__sums_to_at_most_zero_exactly_when_the_cpa_holds(
    steps: list[tuple[float, float]], cpa_target: float
) -> None:
    spend, conversions = np.array(steps).T
    slack = cpa_target * conversions.sum() - spend.sum()
    if abs(slack) > 1e-6:
        assert (compute_cpa_cost(spend, conversions, cpa_target).sum() < 0) == (slack > 0)


def test_constrained_reward__by_hand() -> None:
    """$120 for 1 conversion at a $100 target costs 20; at 0.01 per dollar the reward 1 becomes 0.8."""
    cost = compute_cpa_cost(np.array([120.0]), np.array([1.0]), 100.0)
    np.testing.assert_allclose(compute_constrained_reward(np.ones(1), cost, 0.01), [0.8])


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.floats(0.0, 1.0))
def test_multiplier__never_leaves_its_bounds(costs: list[float], step_size: float) -> None:
    price = LagrangeMultiplier(step_size=step_size, upper_limit=0.5)
    for cost in costs:
        price = price.update(cost)
        assert 0.0 <= price.multiplier <= 0.5


def test_multiplier__finds_the_price_of_a_binding_constraint() -> None:
    """Conversions 4 sqrt(s) at target CPA 5 bind at s = 400, where the price is 0.2.

    Derivation: maximise 4 sqrt(s) - m (s - 20 sqrt(s)); s*(m) = ((4 + 20 m) / (2 m))^2, and the
    constraint s = 20 sqrt(s) needs sqrt(s) = 20, so (4 + 20 m) / (2 m) = 20, m = 0.2.
    """
    price = LagrangeMultiplier(multiplier=0.5, step_size=1e-4, upper_limit=1.0)
    for _ in range(3_000):
        spend = ((4.0 + 20.0 * price.multiplier) / (2.0 * price.multiplier)) ** 2
        price = price.update(spend - 5.0 * 4.0 * spend**0.5)
    assert price.multiplier == pytest.approx(0.2, rel=1e-3)


def test_multiplier__ignores_a_mean_that_is_not_finite() -> None:
    price = LagrangeMultiplier(multiplier=0.3, step_size=0.1)
    assert price.update(float("nan")) == price


@pytest.mark.parametrize(
    "bad", [{"multiplier": -0.1}, {"multiplier": 2.0}, {"step_size": -1.0}, {"upper_limit": float("inf")}]
)
def test_multiplier__refuses_settings_out_of_range(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LagrangeMultiplier(**bad)

"""Priced reward."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.errors import ConfigError
from gaelp_rl.rewards.priced import compute_priced_reward


def test_priced_reward__by_hand() -> None:
    """2 conversions for $50 at a price of $100 each: 2 - 0.5; a conversion at exactly theta is worth nothing."""
    conversions, spend = np.array([2.0, 1.0, 0.0]), np.array([50.0, 100.0, 30.0])
    np.testing.assert_allclose(compute_priced_reward(conversions, spend, 100.0), [1.5, 0.0, -0.3])


def test_priced_reward__takes_one_price_per_world() -> None:
    theta = np.array([10.0, 20.0])
    np.testing.assert_allclose(compute_priced_reward(np.ones(2), np.full(2, 10.0), theta), [0.0, 0.5])


def test_priced_reward__greedy_choice_is_the_budget_optimum() -> None:
    """Bidding while the reward is positive picks the spend level whose marginal cost is theta.

    Conversions bought with spend s are 4 * sqrt(s), marginal cost sqrt(s) / 2; theta = 5 gives s = 100.
    """
    levels = np.arange(1.0, 200.0)
    assert levels[np.argmax(compute_priced_reward(4.0 * np.sqrt(levels), levels, 5.0))] == 100.0


@pytest.mark.parametrize("price", [0.0, -1.0, float("inf"), float("nan")])
def test_priced_reward__refuses_a_meaningless_price(price: float) -> None:
    with pytest.raises(ConfigError, match="shadow_price"):
        compute_priced_reward(np.ones(1), np.ones(1), price)

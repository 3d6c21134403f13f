"""The smoothed shadow price of money."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.rewards.shadow_price import SmoothedShadowPrice


def test_steady_theta__is_the_price() -> None:
    price = SmoothedShadowPrice(np.array([40.0, 60.0]))
    for _ in range(30):
        np.testing.assert_allclose(price.update(np.array([40.0, 60.0])), [40.0, 60.0])


def test_last_hour_spike__moves_the_price_by_at_most_half_a_log_unit() -> None:
    """At 23 h a controller with money left reports a huge theta; nobody should learn from it."""
    price = SmoothedShadowPrice(np.array([50.0]))
    np.testing.assert_allclose(price.update(np.array([5_000.0])), 50.0 * np.exp(0.5))
    np.testing.assert_allclose(price.update(np.array([0.0])), 50.0 * np.exp(0.5 / 24 - 0.5))


@given(st.floats(5.0, 500.0), st.floats(5.0, 500.0))
def test_lasting_change__is_followed_within_days(before: float, after: float) -> None:
    price = SmoothedShadowPrice(np.array([before]))
    for _ in range(24 * 14):
        price.update(np.array([after]))
    np.testing.assert_allclose(np.exp(price.log_mean), after, rtol=0.01)

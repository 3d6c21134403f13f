"""Delays as a mixture of exponentials, against the definition hour by hour."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.errors import ConfigError


def test_cdf__matches_the_formula_by_hand() -> None:
    """At 10 h: 0.35 + 0.10 (1 - e^-1) + 0.55 (1 - e^(-1/12))."""
    expected = 0.35 + 0.10 * (1 - math.exp(-1)) + 0.55 * (1 - math.exp(-10 / 120))
    assert ConversionDelay().compute_cdf(np.array(10.0)) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.floats(0.0, 2000.0), min_size=2, max_size=20))
def test_cdf__rises_from_the_immediate_share_to_one(hours) -> None:
    cdf = ConversionDelay().compute_cdf(np.sort(hours))
    assert (np.diff(cdf) >= 0).all()
    assert 0.35 <= cdf[0] <= cdf[-1] <= 1.0
    assert ConversionDelay().compute_cdf(np.array(1e6)) == pytest.approx(1.0)


def test_cdf__keeps_the_shape_without_components() -> None:
    np.testing.assert_array_equal(ConversionDelay(1.0, (), ()).compute_cdf(np.zeros((2, 3))), np.ones((2, 3)))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_advance_exposure__is_the_convolution_of_clicks_with_the_delay(clicks) -> None:
    """Slow twin: every hour's clicks times the probability mass that falls into the hour."""
    delay = ConversionDelay()
    pending = np.zeros((1, delay.num_components))
    fast = [float(delay.advance_exposure(pending, np.array([float(c)]))[0]) for c in clicks]
    for now, exposure in enumerate(fast):
        slow = 0.0
        for hour in range(now + 1):
            age = now - hour
            before = delay.compute_cdf(np.array(age - 1.0)) if age else 0.0
            slow += clicks[hour] * float(delay.compute_cdf(np.array(float(age))) - before)
        assert exposure == pytest.approx(slow, abs=1e-9)


def test_scale__doubles_the_means_only() -> None:
    doubled = ConversionDelay().scale(2.0)
    assert doubled == ConversionDelay(0.35, (0.10, 0.55), (20.0, 240.0))


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ((0.5, (0.6,), (10.0,)), "add up to 1.1"),
        ((0.5, (0.5,), (10.0, 20.0)), "2 components"),
        ((1.5, (-0.5,), (10.0,)), "none may be negative"),
        ((0.5, (0.5,), (0.0,)), "mean_hours"),
        ((float("nan"), (0.5,), (1.0,)), "add up to nan"),
    ],
)
def test_conversion_delay__refuses_what_is_no_distribution(shares, words) -> None:
    with pytest.raises(ConfigError, match=words):
        ConversionDelay(*shares)

"""The vectorised response against the scalar one that markets and controllers use."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.domain.landscape import compute_win_moments
from gaelp_rl.response.landscape_fit import compute_win_response

LOGS = st.floats(-1.5, 1.5)
SHARE = np.array([0.6, 0.3, 0.1])
WEIGHT = np.array([[0.5, 0.4, 0.1]])


@given(LOGS, LOGS, st.floats(0.6, 1.2))
def test_win_response__is_the_mixture_of_the_devices_moments(bid: float, median: float, sigma: float) -> None:
    log_median = median + np.array([[-0.1, 0.1, 0.0]])
    found = compute_win_response(np.full((1, 3), bid), log_median, sigma, SHARE, WEIGHT)
    moments = np.array([compute_win_moments(np.exp(bid), np.exp(m), sigma, False) for m in log_median[0]])
    np.testing.assert_allclose(found.share, SHARE @ moments[:, 0], rtol=1e-6)
    mean = WEIGHT[0] @ moments[:, 1]
    np.testing.assert_allclose(found.price, mean, rtol=1e-6)
    variance = WEIGHT[0] @ (moments[:, 2] + moments[:, 1] ** 2) - mean**2
    np.testing.assert_allclose(found.price_variance, variance, rtol=1e-4, atol=1e-6 * mean**2)


@given(LOGS, st.floats(0.3, 1.0))
def test_win_response__slopes_are_those_of_its_own_figures(median: float, sigma: float) -> None:
    bid, step = np.zeros((1, 3)), 1e-4

    def respond(log_median: float, log_sigma: float):
        return compute_win_response(bid, np.full((1, 3), log_median), np.exp(log_sigma), SHARE, WEIGHT)

    at, log_sigma = respond(median, np.log(sigma)), np.log(sigma)
    for name in ("share", "price"):
        dear, cheap = respond(median + step, log_sigma), respond(median - step, log_sigma)
        slope = (getattr(dear, name) - getattr(cheap, name)) / (2 * step)
        np.testing.assert_allclose(getattr(at, f"{name}_by_price"), slope, rtol=5e-3, atol=1e-5)
        wide, narrow = respond(median, log_sigma + step), respond(median, log_sigma - step)
        slope = (getattr(wide, name) - getattr(narrow, name)) / (2 * step)
        np.testing.assert_allclose(getattr(at, f"{name}_by_sigma"), slope, rtol=5e-3, atol=2e-4)

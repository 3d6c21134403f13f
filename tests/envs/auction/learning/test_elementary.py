"""The quick elementary functions against NumPy's, on the ranges and to the errors that they promise."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from envs.auction.learning.elementary import (
    compute_exponential,
    compute_log_one_plus,
    compute_logistic,
    compute_softplus,
)

LOGITS = st.floats(-600.0, 600.0)


@given(st.floats(-700.0, 700.0))
def test_exponential__has_a_relative_error_below_3e_9(x: float) -> None:
    assert abs(compute_exponential(x) / np.exp(x) - 1.0) < 3e-9


def test_exponential__stays_positive_far_below_its_range() -> None:
    assert compute_exponential(-1e6) == compute_exponential(-700.0) > 0.0


@given(st.floats(0.0, 1.0))
def test_log_one_plus__has_an_absolute_error_below_4e_9(x: float) -> None:
    assert abs(compute_log_one_plus(x) - np.log1p(x)) < 4e-9


@given(LOGITS)
def test_logistic__is_numpys(x: float) -> None:
    assert abs(compute_logistic(x) - 1.0 / (1.0 + np.exp(-x))) < 3e-9


@given(LOGITS)
def test_softplus__is_numpys_and_its_slope_the_logistic_function(x: float) -> None:
    softplus, slope = compute_softplus(x)
    assert abs(softplus - np.logaddexp(0.0, x)) < 1e-8
    assert abs(slope - compute_logistic(x)) < 1e-15


def test_logistic__hands_nan_on() -> None:
    """A broken loss must be seen, not hidden by a fast path."""
    assert np.isnan(compute_logistic(np.nan))

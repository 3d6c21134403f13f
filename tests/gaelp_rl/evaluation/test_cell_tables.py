"""The look-up tables against the landscape's formulas."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_rl.domain.landscape import compute_bid_for_marginal_cost, compute_mean_price, compute_win_share
from gaelp_rl.evaluation.cell_tables import interpolate_cell, make_cell_tables

_SIGMAS = (0.3, 0.6, 1.2)
_TABLES = functools.cache(lambda first_price: make_cell_tables(np.array(_SIGMAS), np.full(3, first_price)))


@settings(max_examples=200, deadline=None)
@given(kind=st.integers(0, 2), first_price=st.booleans(), log_marginal_cost=st.floats(-12.0, 12.0))
def test_interpolate_cell__equals_landscape(kind: int, first_price: bool, log_marginal_cost: float) -> None:
    """Within 1e-5 of a fully won cell, at any marginal cost, tails and ends included."""
    first_u, inverse_step, table = (array[kind] for array in _TABLES(first_price).arrays)
    share, unit_spend = interpolate_cell(log_marginal_cost, first_u, inverse_step, table)
    end_u = first_u + (table.shape[0] - 1) / inverse_step
    bid = compute_bid_for_marginal_cost(math.exp(min(log_marginal_cost, end_u)), 1.0, _SIGMAS[kind], first_price)
    expected_share = compute_win_share(bid, 1.0, _SIGMAS[kind])
    expected_spend = expected_share * compute_mean_price(bid, 1.0, _SIGMAS[kind], first_price)
    assert share == pytest.approx(expected_share, abs=1e-5)
    assert unit_spend == pytest.approx(expected_spend, abs=1e-5 * max(1.0, table[-1, 1]))


def test_make_cell_tables__spend_and_share_rise_with_marginal_cost() -> None:
    """Bisection needs both monotone."""
    tables = make_cell_tables(np.array(_SIGMAS), np.array([True, False, True]))
    assert (np.diff(tables.table, axis=1) >= 0).all()

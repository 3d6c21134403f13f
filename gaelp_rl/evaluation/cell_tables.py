"""Win share and spend of a cell as tables over its marginal cost, so that a search is look-ups.

With u = ln(marginal cost per click / median), a cell's win share and its spend per offered click
and unit of median depend on u, sigma and the auction form only. Linear interpolation on 4,096
points errs by less than 1e-5 of a fully won cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_rl.domain.landscape import compute_bid_for_marginal_cost, compute_mean_price, compute_win_share
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import DataError

__all__ = ["CellTables", "interpolate_cell", "make_cell_tables"]

_POINTS = 4096
_LOW_Z = -7.0
_HIGH_Z_SECOND_PRICE = 6.0
_HIGH_Z_FIRST_PRICE = 4.5


@dataclass(frozen=True, slots=True)
class CellTables:
    """The tables of all cells.

    Attributes:
        first_u: float64 [cells]; ln(marginal cost / median) of the first point.
        inverse_step: float64 [cells]; points per unit of u.
        table: float64 [cells, points, 2]; win share, and spend per offered click over the median.
    """

    first_u: FloatArray
    inverse_step: FloatArray
    table: FloatArray

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The three arrays, in the order in which compiled functions take them."""
        return self.first_u, self.inverse_step, self.table


def make_cell_tables(sigma: FloatArray, first_price: NDArray[np.bool_]) -> CellTables:
    """Tabulates every cell, once for each distinct pair of sigma and auction form.

    Args:
        sigma: float64 [cells]; log-sd of the highest competing bid, above 0.
        first_price: bool [cells].

    Returns:
        The tables.

    Raises:
        DataError: a sigma is not above 0.
    """
    if not (sigma > 0).all():
        msg = f"sigma is {sigma.min()!r} in a cell; the highest competing bid needs a log-sd above 0"
        raise DataError(msg)
    kinds, kind_of_cell = np.unique(np.stack([sigma, first_price.astype(np.float64)]), axis=1, return_inverse=True)
    first_u = np.empty(kinds.shape[1])
    inverse_step = np.empty(kinds.shape[1])
    table = np.empty((kinds.shape[1], _POINTS, 2))
    for kind, (kind_sigma, is_first_price) in enumerate(kinds.T):
        low, high = _compute_u_range(float(kind_sigma), bool(is_first_price))
        first_u[kind] = low
        inverse_step[kind] = (_POINTS - 1) / (high - low)
        _fill_table(np.linspace(low, high, _POINTS), float(kind_sigma), bool(is_first_price), table[kind])
    kind_of_cell = kind_of_cell.reshape(-1)
    return CellTables(first_u[kind_of_cell], inverse_step[kind_of_cell], table[kind_of_cell])


def _compute_u_range(sigma: float, first_price: bool) -> tuple[float, float]:
    """Where a cell wins nothing, and where it wins all but a millionth or so."""
    low = _LOW_Z * sigma
    if not first_price:
        return low, _HIGH_Z_SECOND_PRICE * sigma
    density = math.exp(-0.5 * _HIGH_Z_FIRST_PRICE**2) / math.sqrt(2.0 * math.pi)
    return low, _HIGH_Z_FIRST_PRICE * sigma + math.log1p(sigma / density)


@njit(cache=True)
def _fill_table(u: FloatArray, sigma: float, first_price: bool, table: FloatArray) -> None:
    for i in range(u.size):
        bid = compute_bid_for_marginal_cost(math.exp(u[i]), 1.0, sigma, first_price)
        share = compute_win_share(bid, 1.0, sigma)
        table[i, 0] = share
        table[i, 1] = share * compute_mean_price(bid, 1.0, sigma, first_price)


@njit(cache=True)
def interpolate_cell(u: float, first_u: float, inverse_step: float, table: FloatArray) -> tuple[float, float]:
    """Win share and spend per offered click over the median, at u = ln(marginal cost / median).

    Args:
        u: ln(marginal cost per click / median); -inf for a cell that cannot convert.
        first_u: u of the table's first point; nothing is won below it.
        inverse_step: points per unit of u.
        table: float64 [points, 2] of one cell; its last point holds above it.

    Returns:
        (share, unit_spend).
    """
    position = (u - first_u) * inverse_step
    last = table.shape[0] - 1
    if not position > 0.0:
        return 0.0, 0.0
    if position >= last:
        return table[last, 0], table[last, 1]
    i = int(position)
    weight = position - i
    share = table[i, 0] + weight * (table[i + 1, 0] - table[i, 0])
    unit_spend = table[i, 1] + weight * (table[i + 1, 1] - table[i, 1])
    return share, unit_spend

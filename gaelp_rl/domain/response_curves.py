"""A world's true response curves: what hindsight would have known. Never visible to a policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.reports import FloatArray

__all__ = ["ResponseCurves"]


@dataclass(frozen=True, slots=True)
class ResponseCurves:
    """Separable expected response of worlds to bids, one cell per channel and device.

    Clicks won at bid b in a cell: ``click_volume * win_share(b)``; each costs
    ``mean_price(b)`` (see ``landscape.py``) and converts with probability ``conversion_rate``.
    Hours are uncoupled: fatigue, learning phases and plan inertia are at their most favourable
    value, so that an optimum over these curves is an upper bound on what any policy can reach.

    Attributes:
        click_volume: float64 [worlds, hours, cells]; clicks per hour if every auction were won.
        price_median: float64 [worlds, hours, cells]; median highest competing bid, currency units.
        conversion_rate: float64 [worlds, hours, cells]; conversions per click.
        sigma: float64 [cells]; log-sd of the highest competing bid.
        first_price: bool [cells]; whether winners pay their own bid.
    """

    click_volume: FloatArray
    price_median: FloatArray
    conversion_rate: FloatArray
    sigma: FloatArray
    first_price: NDArray[np.bool_]

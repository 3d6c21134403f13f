"""How long after its click a conversion is reported: a mixture of exponential delays.

A mixture of exponentials has no memory, so that the expected arrivals of the next hour follow from
one number per component, whatever the history.
Source: Chapelle, "Modeling delayed feedback in display advertising", KDD 2014 (exponential delays);
35 % within the hour, 50 % within a day, a tail to 30 days (notes on the same data).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import ConfigError

__all__ = ["ConversionDelay"]


@dataclass(frozen=True, slots=True)
class ConversionDelay:
    """P(delay < t) = immediate + sum_i weight_i (1 - exp(-t / mean_hours_i)).

    Attributes:
        immediate: share of conversions reported within the hour of the click.
        weights: share of conversions in each exponential component.
        mean_hours: mean delay of each component, in hours.
    """

    immediate: float = 0.35
    weights: tuple[float, ...] = (0.10, 0.55)
    mean_hours: tuple[float, ...] = (10.0, 120.0)

    def __post_init__(self) -> None:
        total = self.immediate + sum(self.weights)
        if len(self.weights) != len(self.mean_hours) or not abs(total - 1.0) <= 1e-9:
            msg = f"conversion delay shares add up to {total!r} over {len(self.mean_hours)} components; they must be 1"
            raise ConfigError(msg)
        if min((self.immediate, *self.weights)) < 0.0:
            msg = f"conversion delay shares are {self.immediate!r} and {self.weights!r}; none may be negative"
            raise ConfigError(msg)
        if not all(0.0 < hours < math.inf for hours in self.mean_hours):
            msg = f"conversion delay mean_hours are {self.mean_hours!r}; each must be finite and above 0"
            raise ConfigError(msg)

    @property
    def num_components(self) -> int:
        """How many exponential components there are."""
        return len(self.weights)

    def scale(self, factor: float) -> ConversionDelay:
        """The same shares with every mean delay multiplied by ``factor``."""
        return ConversionDelay(self.immediate, self.weights, tuple(m * factor for m in self.mean_hours))

    def compute_cdf(self, hours: FloatArray) -> FloatArray:
        """P(delay < hours), elementwise."""
        late = -np.expm1(-np.asarray(hours)[..., None] / np.asarray(self.mean_hours)) @ np.asarray(self.weights)
        return np.asarray(self.immediate + late)

    def advance_exposure(self, pending: FloatArray, clicks: FloatArray) -> FloatArray:
        """Moves one hour on; expected reported conversions per unit of CVR in that hour.

        Args:
            pending: float64 [..., components]; clicks whose conversions are still on their way,
                by component. Updated in place.
            clicks: float64 [...]; clicks of the newly reported hour.

        Returns:
            Exposure float64 [...]: ``clicks * immediate`` plus what the components release.
        """
        release = -np.expm1(-1.0 / np.asarray(self.mean_hours))
        exposure = clicks * self.immediate + pending @ release
        pending *= 1.0 - release
        pending += clicks[..., None] * np.asarray(self.weights)
        return np.asarray(exposure)

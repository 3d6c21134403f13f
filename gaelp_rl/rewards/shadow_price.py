"""What a unit of money is worth now: the controller's own theta, smoothed over a day.

With the rest of the day re-solved every hour, one more unit of budget buys 1 / theta conversions
(the envelope theorem), so spend is priced at the theta of whoever spends it: a policy that overspends
finds money dearer, one that saves finds it cheaper. A price from outside (the hindsight optimum's,
say) has no such brake: a bias of a few per cent makes a myopic learner starve the whole day.
"""

from __future__ import annotations

import numpy as np

from gaelp_rl.domain.reports import FloatArray

__all__ = ["SmoothedShadowPrice"]

_HOURS = 24.0
_LARGEST_STEP = 0.5
_LOWEST_THETA = 1.0


class SmoothedShadowPrice:
    """Theta relative to its mean over about a day, so that a day's last hours do not spike.

    Attributes:
        log_mean: float64 [worlds]; exponential mean of ln theta over 24 hours.
    """

    def __init__(self, theta: FloatArray) -> None:
        self.log_mean = np.log(np.maximum(theta, _LOWEST_THETA))

    def update(self, theta: FloatArray) -> FloatArray:
        """Takes the theta of a new hour; call once an hour.

        Args:
            theta: float64 [worlds], currency per conversion.

        Returns:
            The price to use in that hour, currency per conversion, float64 [worlds]: theta itself
            where it lies within a factor e^0.5 of its mean, the nearer end of that range elsewhere.
        """
        step = np.log(np.maximum(theta, _LOWEST_THETA)) - self.log_mean
        step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        price = np.exp(self.log_mean + step)
        self.log_mean = self.log_mean + step / _HOURS
        return np.asarray(price)

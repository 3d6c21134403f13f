"""Conversion rates of landed clicks with intervals, corrected for clicks that are still being waited for.

A click watched for ``a`` hours counts as F(a) / F(W) of one, F the delay's distribution and W the
look-back window; conversions over the sum of these are the rate of conversions inside the window.
The interval is Wilson's on that many clicks, widened on the log scale by the delay's own uncertainty.

Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.reports import FloatArray

__all__ = ["Rate", "compute_effective_clicks", "compute_effective_sd", "estimate_rate"]


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with its interval.

    Attributes:
        events: what was counted.
        trials: out of how many; of conversions, effective clicks.
        estimate: events over trials, NaN without trials.
        low: lower end.
        high: upper end.
    """

    events: float
    trials: float
    estimate: float
    low: float
    high: float


def compute_effective_clicks(watched_hours: FloatArray, delay: ConversionDelay, window_hours: float) -> float:
    """Clicks, each by the share of its window's conversions that had time to come.

    Args:
        watched_hours: float64 [clicks].
        delay: of conversions.
        window_hours: the look-back window.
    """
    whole = float(delay.compute_cdf(np.array(window_hours)))
    return float(delay.compute_cdf(np.minimum(watched_hours, window_hours)).sum()) / whole


def compute_effective_sd(
    watched_hours: FloatArray,
    delays: Sequence[ConversionDelay],
    covariance: FloatArray,
    window_hours: float,
    step: float,
) -> float:
    """Standard deviation of the log of the effective clicks that an uncertain delay causes.

    Args:
        watched_hours: float64 [clicks].
        delays: at the estimate, then with each of its parameters moved by ``step``.
        covariance: float64 [parameters, parameters].
        window_hours: the look-back window.
        step: see ``delays``.
    """
    if watched_hours.size == 0:
        return 0.0
    logs = np.log([compute_effective_clicks(watched_hours, delay, window_hours) for delay in delays])
    slope = (logs[1:] - logs[0]) / step
    return float(np.sqrt(max(slope @ covariance @ slope, 0.0)))


def estimate_rate(events: float, trials: float, log_sd: float = 0.0, confidence: float = 0.9) -> Rate:
    """Estimates a rate.

    Args:
        events: counted.
        trials: out of how many, whole or not; never fewer than ``events`` in effect.
        log_sd: of the log of ``trials``.
        confidence: of the interval.
    """
    if trials <= 0.0:
        return Rate(events, trials, np.nan, 0.0, 1.0)
    z = float(stats.norm.ppf(0.5 + confidence / 2.0))
    share = min(events / trials, 1.0)
    centre = (share + z**2 / (2.0 * trials)) / (1.0 + z**2 / trials)
    reach = z / (1.0 + z**2 / trials) * np.sqrt(share * (1.0 - share) / trials + (z / (2.0 * trials)) ** 2)
    low, high = max(centre - reach, 0.0), min(centre + reach, 1.0)
    wide_low = share * np.exp(-np.hypot(np.log(share / low), z * log_sd)) if 0.0 < low < share else low
    wide_high = share * np.exp(np.hypot(np.log(high / share), z * log_sd)) if share > 0.0 else high
    return Rate(events, trials, events / trials, float(wide_low), min(float(wide_high), 1.0))

"""How late conversions come after their click, with clicks that are still being waited for.

Each landed click is watched from its instant until its look-back window is over or the export ends,
whichever is first; its event is its first conversion. A click whose user clicked again keeps being
watched: the later click takes the conversion, and for this one that is the same as none. The product
limit gives the share of clicks that have converted by an age; over its value at the end of the
window it is the delay's distribution among conversions inside the window. Later ones cannot be seen.

Source: Kaplan and Meier 1958, "Nonparametric estimation from incomplete observations"; variance by
Greenwood 1926.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gaelp_rl.bootstrap.account_hours import MICROS_PER_DAY, MICROS_PER_HOUR
from gaelp_rl.bootstrap.facts import AttributedExport
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["DelayCurve", "WatchedClicks", "estimate_delay_curve", "watch_clicks"]

_MIN_WATCHED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class WatchedClicks:
    """Landed clicks and how long each was watched.

    Attributes:
        watched_hours: float64 [clicks]; to the end of the window or of the export.
        delay_hours: float64 [clicks]; of the first conversion, NaN for none.
    """

    watched_hours: FloatArray
    delay_hours: FloatArray

    @property
    def leave_hours(self) -> FloatArray:
        """float64 [clicks]; when each converted, or was watched no longer."""
        return np.where(np.isfinite(self.delay_hours), self.delay_hours, self.watched_hours)

    def count_at_risk(self, age_hours: FloatArray) -> IntArray:
        """Clicks still watched and not converted just before each age, int64 [ages]."""
        leave = np.sort(self.leave_hours)
        return np.asarray(leave.size - np.searchsorted(leave, age_hours, side="left"), dtype=np.int64)

    def find_horizon(self, lookback_days: int) -> float:
        """Hours after a click that can be told about: the window, or what a tenth of the clicks was watched for."""
        if self.watched_hours.size == 0:
            return 24.0 * lookback_days
        return min(24.0 * lookback_days, float(np.quantile(self.watched_hours, 1.0 - _MIN_WATCHED_SHARE)))

    def select(self, where: NDArray[np.bool_]) -> WatchedClicks:
        """Some of the clicks."""
        return WatchedClicks(self.watched_hours[where], self.delay_hours[where])


@dataclass(frozen=True, slots=True)
class DelayCurve:
    """A product-limit estimate at some ages.

    Attributes:
        age_hours: float64 [ages].
        converted: float64 [ages]; share of clicks converted by that age.
        share: float64 [ages]; share of the window's conversions that have come by that age, the
            delay's distribution; NaN where nothing converted.
        low: float64 [ages]; lower end of its interval.
        high: float64 [ages].
        at_risk: int64 [ages]; clicks watched for at least that long without a conversion before.
        num_conversions: clicks that converted.
    """

    age_hours: FloatArray
    converted: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray
    at_risk: IntArray
    num_conversions: int


def watch_clicks(attributed: AttributedExport, lookback_days: int) -> WatchedClicks:
    """Follows each landed click.

    Args:
        attributed: the export.
        lookback_days: the window's length.
    """
    clicks, conversions = attributed.clicks, attributed.export.conversions
    watched = np.minimum(attributed.export.as_of - clicks.timestamp, lookback_days * MICROS_PER_DAY)
    first = np.full(clicks.user.size, np.inf)
    own = attributed.click_of >= 0
    where = attributed.click_of[own]
    np.minimum.at(first, where, (conversions.timestamp[own] - clicks.timestamp[where]).astype(np.float64))
    delay = np.where(np.isfinite(first), first, np.nan) / MICROS_PER_HOUR
    return WatchedClicks(watched / MICROS_PER_HOUR, delay)


def estimate_delay_curve(clicks: WatchedClicks, age_hours: FloatArray, confidence: float = 0.9) -> DelayCurve:
    """Estimates the delay's distribution.

    With S the share not yet converted and G its Greenwood sum, the odds of ``share`` at age t are
    (1 - S(t)) / (S(t) - S(W)). Its two factors come from disjoint ages, so the variance of the log
    odds is G(t) / (1 - S(t))^2 + (G(W) - G(t)) (S(W) / (S(t) - S(W)))^2.

    Args:
        clicks: to estimate from.
        age_hours: float64 [ages], rising; the last is the end of the window.
        confidence: of the intervals.
    """
    times, died, at_risk = _count_deaths(clicks)
    log_survival = np.concatenate(([0.0], np.cumsum(np.log1p(-np.minimum(died / at_risk, 1.0 - 1e-12)))))
    spread = np.maximum(at_risk - died, 0.5)
    greenwood = np.concatenate(([0.0], np.cumsum(died / (at_risk * spread))))
    at = np.searchsorted(times, age_hours, side="right")
    survival, variance = np.exp(log_survival[at]), greenwood[at]
    last_survival, last_variance = survival[-1], variance[-1]
    converted, rest = 1.0 - survival, survival - last_survival
    with np.errstate(divide="ignore", invalid="ignore"):
        share = converted / (1.0 - last_survival)
        sd = np.sqrt(variance / converted**2 + (last_variance - variance) * (last_survival / rest) ** 2)
        reach = float(stats.norm.ppf(0.5 + confidence / 2.0)) * sd
        log_odds = np.log(converted / rest)
        low, high = (1.0 / (1.0 + np.exp(-(log_odds + side * reach))) for side in (-1.0, 1.0))
    known = (converted > 0.0) & (rest > 0.0)
    return DelayCurve(
        age_hours,
        converted,
        share,
        np.where(known, low, share),
        np.where(known, high, share),
        clicks.count_at_risk(age_hours),
        int(np.isfinite(clicks.delay_hours).sum()),
    )


def _count_deaths(clicks: WatchedClicks) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distinct delays, conversions at each, and clicks at risk just before."""
    times, died = np.unique(clicks.delay_hours[np.isfinite(clicks.delay_hours)], return_counts=True)
    return times, died.astype(np.float64), clicks.count_at_risk(times).astype(np.float64)

"""Fitted parameters: estimate, interval and where each comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

__all__ = ["CONFIDENCE", "FITTED", "FittedParameter", "make_log_parameter", "make_sd_parameter", "make_share_parameter"]

CONFIDENCE = 0.9
"""Coverage of every interval."""

FITTED = "fitted"
"""Source of what the data have told; what they have not is ``kept: ...`` with the reason."""

_Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2.0))
_KEPT_RATIO = 0.8


@dataclass(frozen=True, slots=True)
class FittedParameter:
    """One number of a calibrated market.

    Attributes:
        channel: whose it is; ``account`` where all channels share it.
        name: key in the market TOML.
        index: hour, weekday or device within it; empty for a single number.
        estimate: what the market TOML holds.
        low: lower end of the interval.
        high: upper end.
        source: ``fitted``, or ``kept: `` and why.
        log_sd: standard error of the natural log behind the interval; NaN for shares.
    """

    channel: str
    name: str
    index: str
    estimate: float
    low: float
    high: float
    source: str
    log_sd: float = math.nan

    @property
    def is_fitted(self) -> bool:
        """Whether the data have told it."""
        return self.source == FITTED

    @property
    def label(self) -> str:
        """``channel.name`` or ``channel.name[index]``."""
        return f"{self.channel}.{self.name}" + (f"[{self.index}]" if self.index else "")


def make_log_parameter(
    label: tuple[str, str, str], fitted: tuple[float, float], prior: tuple[float, float], why_kept: str
) -> FittedParameter:
    """A positive number whose log has a normal posterior.

    Args:
        label: channel, name and index.
        fitted: posterior mean and sd of the log.
        prior: the same before the data; kept where the data narrow the sd by less than a fifth.
        why_kept: the reason to state then.
    """
    is_kept = fitted[1] > _KEPT_RATIO * prior[1]
    mean, sd = prior if is_kept else fitted
    low, high = math.exp(mean - _Z * sd), math.exp(mean + _Z * sd)
    return FittedParameter(*label, math.exp(mean), low, high, f"kept: {why_kept}" if is_kept else FITTED, sd)


def make_share_parameter(label: tuple[str, str, str], share: float, sd: float, why_kept: str = "") -> FittedParameter:
    """A share with its standard error; ``why_kept`` where it is not estimated."""
    low, high = max(share - _Z * sd, 0.0), min(share + _Z * sd, 1.0)
    return FittedParameter(*label, share, low, high, f"kept: {why_kept}" if why_kept else FITTED)


def make_sd_parameter(
    label: tuple[str, str, str], sd: float, freedom: tuple[float, float], stock: float, why_kept: str
) -> FittedParameter:
    """A standard deviation with a scaled chi-square interval.

    Args:
        label: channel, name and index.
        sd: estimate.
        freedom: degrees of freedom with the data, and those of the prior alone.
        stock: kept where the data add fewer than the prior has.
        why_kept: the reason to state then.
    """
    is_kept = freedom[0] < 2.0 * freedom[1]
    centre, degrees = (stock, freedom[1]) if is_kept else (sd, freedom[0])
    tail = 0.5 - CONFIDENCE / 2.0
    low, high = (centre * math.sqrt(degrees / float(stats.chi2.ppf(p, degrees))) for p in (1.0 - tail, tail))
    return FittedParameter(*label, centre, low, high, f"kept: {why_kept}" if is_kept else FITTED)

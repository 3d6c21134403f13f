"""How late conversions are reported, from readings of the same rows at different ages.

Conversions that appear between two readings are Poisson with the delay's probability of that span;
a click hour counts only up to its newest reading, so that what has not come yet is not taken for
what never comes (right-censoring). One delay for the account, a factor on its means per channel.

Source: Chapelle, "Modeling delayed feedback in display advertising", KDD 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.response.observations import Arrivals, ChannelObservations
from gaelp_rl.response.posterior import Posterior, Prior, Scores, find_mode

__all__ = ["DELAY_PRIOR_SD", "DelayFit", "fit_delay", "make_delay"]

DELAY_PRIOR_SD = (0.7, 0.7, 0.5, 0.5)
"""Prior sds: logit of the immediate share, logit of the fast component's share of the rest, log means."""

_NUM_SHAPE = 4
_LEVEL_SD = 1.0
_SLOPE_STEP = 1e-5


@dataclass(frozen=True, slots=True)
class DelayFit:
    """The delay of an account's conversions.

    Attributes:
        posterior: four shape numbers (see ``make_delay``), then by channel the log factor on the
            means and the log CVR.
        prior: the same before the data.
        channels: in the order of the posterior.
        delay: at the mode, of the account.
        by_channel: at the mode, of each channel.
    """

    posterior: Posterior
    prior: Prior
    channels: tuple[Channel, ...]
    delay: ConversionDelay
    by_channel: Mapping[Channel, ConversionDelay]


def make_delay(shape: FloatArray, log_scale: float = 0.0) -> ConversionDelay:
    """A delay of two exponential components.

    Args:
        shape: logit of the immediate share, logit of the fast component's share of the rest, and the
            logs of both mean delays in hours.
        log_scale: added to the logs of the means.
    """
    immediate, fast = 1.0 / (1.0 + np.exp(-shape[:2]))
    rest = 1.0 - immediate
    means = tuple(float(mean) for mean in np.exp(shape[2:4] + log_scale))
    first = float(rest * fast)
    return ConversionDelay(float(immediate), (first, 1.0 - float(immediate) - first), means)


def fit_delay(observed: Mapping[Channel, ChannelObservations], family: FamilyConfig) -> DelayFit:
    """Fits the delay of all channels together.

    Args:
        observed: the channels that have conversions or not; those without clicks say nothing.
        family: gives the prior delay, its scale, and how far channels differ.
    """
    channels = tuple(observed)
    spans = [_add_up_spans(observed[channel].arrivals) for channel in channels]
    prior = _make_prior(channels, spans, family)

    def compute_scores(theta: FloatArray) -> Scores:
        gradient, information = np.zeros(theta.size), np.zeros((theta.size, theta.size))
        for i, (age_from, age_to, clicks, conversions) in enumerate(spans):
            where = np.array([0, 1, 2, 3, _NUM_SHAPE + 2 * i, _NUM_SHAPE + 2 * i + 1])
            local = theta[where]
            mean = clicks * _compute_rate(local, age_from, age_to)
            slope = np.empty((mean.size, where.size))
            for k in range(where.size):
                moved = local.copy()
                moved[k] += _SLOPE_STEP
                slope[:, k] = (clicks * _compute_rate(moved, age_from, age_to) - mean) / _SLOPE_STEP
            weighted = slope / np.maximum(mean, 1e-9)[:, None]
            gradient[where] += weighted.T @ (conversions - mean)
            information[np.ix_(where, where)] += weighted.T @ slope
        return Scores(gradient, information)

    posterior = find_mode(compute_scores, prior, prior.mean, max_steps=60)
    shape = posterior.mean[:_NUM_SHAPE]
    by_channel = {channel: make_delay(shape, posterior.mean[_NUM_SHAPE + 2 * i]) for i, channel in enumerate(channels)}
    return DelayFit(posterior, prior, channels, make_delay(shape), by_channel)


_Span = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _add_up_spans(arrivals: Arrivals) -> _Span:
    """Clicks and conversions of all entries with the same ages: (age from, age to, clicks, conversions)."""
    ages = np.column_stack((arrivals.age_from, arrivals.age_to))
    unique, inverse = np.unique(ages, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    clicks = np.zeros(len(unique))
    conversions = np.zeros(len(unique))
    np.add.at(clicks, inverse, arrivals.clicks)
    np.add.at(conversions, inverse, arrivals.conversions)
    wide = unique[:, 1] > unique[:, 0]
    return unique[wide, 0], unique[wide, 1], clicks[wide], conversions[wide]


def _make_prior(channels: tuple[Channel, ...], spans: list[_Span], family: FamilyConfig) -> Prior:
    stock = family.delay.scale(family.delay_scale)
    late = 1.0 - stock.immediate
    fast = stock.weights[0] / late
    mean = np.zeros(_NUM_SHAPE + 2 * len(channels))
    mean[:_NUM_SHAPE] = (_logit(stock.immediate), _logit(fast), *np.log(stock.mean_hours))
    sds = np.concatenate((DELAY_PRIOR_SD, np.tile((max(family.delay_scale_log_sd, 1e-3), _LEVEL_SD), len(channels))))
    for i, (channel, (age_from, age_to, clicks, conversions)) in enumerate(zip(channels, spans, strict=True)):
        start = mean[[0, 1, 2, 3, _NUM_SHAPE, _NUM_SHAPE]].copy()
        start[4:] = 0.0
        expected = float((clicks * _compute_rate(start, age_from, age_to)).sum())
        stock_rate = getattr(family.calibration, channel).conversion_rate
        rate = (float(conversions.sum()) + 1.0) / (expected + 1.0 / stock_rate)
        mean[_NUM_SHAPE + 2 * i + 1] = np.log(rate)
    return Prior(mean, np.diag(1.0 / sds**2))


def _logit(share: float) -> float:
    return float(np.log(share / (1.0 - share)))


def _compute_rate(local: FloatArray, age_from: FloatArray, age_to: FloatArray) -> FloatArray:
    """Conversions per click that appear between two ages."""
    delay = make_delay(local[:_NUM_SHAPE], float(local[_NUM_SHAPE]))
    before = np.where(age_from >= 0.0, delay.compute_cdf(np.maximum(age_from, 0.0)), 0.0)
    return np.asarray(np.exp(local[_NUM_SHAPE + 1]) * (delay.compute_cdf(age_to) - before))

"""The delay from expected counts, from thin data, and with what has not come yet."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.response.delay import fit_delay, make_delay
from gaelp_rl.response.observations import Arrivals, ChannelObservations

FAMILY = load_family("campaign")
TRUE = ConversionDelay(0.5, (0.3, 0.2), (6.0, 200.0))


def observe(delay: ConversionDelay, ages: list[float], clicks: float, rate: float = 0.02) -> ChannelObservations:
    """A channel whose conversions appear exactly as expected at each reading."""
    froms = [-1.0, *ages[:-1]]
    share = [
        float(delay.compute_cdf(np.array(b)) - (delay.compute_cdf(np.array(a)) if a >= 0 else 0.0))
        for a, b in zip(froms, ages, strict=True)
    ]
    n = len(ages)
    arrivals = Arrivals(
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.array(froms),
        np.array(ages),
        np.full(n, clicks),
        clicks * rate * np.array(share),
    )
    one = np.ones((1, 3))
    nothing = np.full(1, np.nan)
    return ChannelObservations(
        np.zeros(1, dtype=np.int64),
        True,
        one,
        one,
        one,
        one * np.nan,
        nothing,
        arrivals,
        one * np.nan,
        nothing,
        one[:, 0] > 0,
    )


def test_fit_delay__finds_the_delay_that_made_the_counts() -> None:
    channel = observe(TRUE, [0.0, 2.0, 6.0, 12.0, 24.0, 72.0, 168.0, 336.0, 700.0], 5e6)
    fit = fit_delay({Channel.GOOGLE: channel, Channel.META: channel}, FAMILY)
    assert fit.delay.immediate == pytest.approx(0.5, abs=0.01)
    found = fit.by_channel[Channel.GOOGLE].compute_cdf(np.array([3.0, 30.0, 300.0]))
    np.testing.assert_allclose(found, TRUE.compute_cdf(np.array([3.0, 30.0, 300.0])), atol=0.005)


def test_fit_delay__what_has_not_come_yet_is_not_taken_for_never() -> None:
    """Readings that end after a day see 60 % of the conversions; the rate must not fall to what they saw."""
    channel = observe(FAMILY.delay, [0.0, 3.0, 12.0, 24.0], 1e6)
    fit = fit_delay({Channel.GOOGLE: channel}, FAMILY)
    seen = float(FAMILY.delay.compute_cdf(np.array(24.0)))
    assert seen < 0.6
    assert np.exp(fit.posterior.mean[5]) == pytest.approx(0.02, rel=0.02)


def test_fit_delay__of_one_reading_keeps_the_prior() -> None:
    """A single age says how many came, never when."""
    fit = fit_delay({Channel.GOOGLE: observe(TRUE, [300.0], 1e6)}, FAMILY)
    sds = np.sqrt(np.diag(fit.posterior.covariance))[:4]
    assert (sds > 0.8 * np.array([0.7, 0.7, 0.5, 0.5])).all()


def test_fit_delay__channels_may_differ_in_scale() -> None:
    ages = [0.0, 2.0, 6.0, 12.0, 24.0, 72.0, 168.0, 336.0]
    fast, slow = FAMILY.delay.scale(0.7), FAMILY.delay.scale(1.4)
    channels = {Channel.GOOGLE: observe(fast, ages, 2e6), Channel.META: observe(slow, ages, 2e6)}
    fit = fit_delay(channels, FAMILY)
    ratio = fit.by_channel[Channel.META].mean_hours[1] / fit.by_channel[Channel.GOOGLE].mean_hours[1]
    assert ratio == pytest.approx(2.0, rel=0.03)


def test_make_delay__reads_logits_and_logs() -> None:
    """Logit 0 is one half; half of the other half is fast."""
    delay = make_delay(np.array([0.0, 0.0, np.log(5.0), np.log(50.0)]), np.log(2.0))
    assert (delay.immediate, delay.weights) == (0.5, (0.25, 0.25))
    assert delay.mean_hours == pytest.approx((10.0, 100.0))

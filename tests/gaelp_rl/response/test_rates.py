"""CTR and CVR from counts that are exactly as expected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.report_rows import make_observations
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import Channel
from gaelp_rl.response.observations import Arrivals, ChannelObservations
from gaelp_rl.response.rates import fit_clicks, fit_conversions
from tests.gaelp_rl.response.markets import draw_market, make_varied_record

FAMILY = load_family("campaign")
HOURS, DAYS = 28 * 24, 28
CTR = np.array([0.03, 0.02, 0.01])
CVR = np.array([0.02, 0.05, 0.03])


@pytest.fixture(scope="module")
def template() -> ChannelObservations:
    return make_observations(make_varied_record(draw_market(0), 0), 0).channels[Channel.META]


def make_exact(template: ChannelObservations, impressions: float, age: float) -> ChannelObservations:
    """Rates as above in every hour, conversions as far as they can have come by an age."""
    shown = np.full((HOURS, 3), impressions)
    clicks = shown * CTR
    curve = np.array(FAMILY.calibration.meta.hour_conversion_ratio)[np.arange(HOURS) % 24]
    hour, device = (where.ravel() for where in np.meshgrid(np.arange(HOURS), np.arange(3), indexing="ij"))
    come = float(FAMILY.delay.compute_cdf(np.array(age)))
    conversions = (clicks * CVR * curve[:, None]).ravel() * come
    n = hour.size
    arrivals = Arrivals(hour, device, np.full(n, -1.0), np.full(n, age), clicks.ravel(), conversions)
    return replace(template, hour=np.arange(HOURS), impressions=shown, clicks=clicks, arrivals=arrivals)


def test_fit_clicks__finds_ctr_by_device_where_nobody_tires(template: ChannelObservations) -> None:
    """A searcher's channel; the median over creatives lies exp(-sd^2 / 4) below the mean that clicks show."""
    centre = FAMILY.calibration.google
    found = fit_clicks(make_exact(template, 1e4, 50.0), centre, FAMILY).posterior.mean
    np.testing.assert_allclose(
        np.exp(found[0] + found[1:4] + found[4:].mean()), CTR * np.exp(-0.25 * 0.15**2), rtol=0.01
    )


def test_fit_clicks__a_tired_audience_has_a_higher_fresh_ctr(template: ChannelObservations) -> None:
    """27,000 impressions a day on 60,000 people: after a week, a tenth of the log CTR per exposure is gone."""
    centre = FAMILY.calibration.meta
    observed = make_exact(template, 9000.0 / 24, 50.0)
    fresh = FAMILY.model_copy(update={"fatigue_per_exposure": 0.0})
    tired, rested = (fit_clicks(observed, centre, family).posterior.mean[0] for family in (FAMILY, fresh))
    daily_exposure = 27_000.0 / 2 / 60_000
    weekly_means = [np.mean(np.exp(-0.1 * daily_exposure * np.arange(0, days, 1 / 24))) for days in (7, 14)]
    assert -np.log(weekly_means[1]) * 0.7 < tired - rested < -np.log(weekly_means[1]) * 1.1


@pytest.mark.parametrize("age", [0.0, 24.0, 700.0])
def test_fit_conversions__young_clicks_count_by_what_they_can_have_shown(
    template: ChannelObservations, age: float
) -> None:
    """The same rates whatever the age of the readings."""
    observed = make_exact(template, 2e5, age)
    fit = fit_conversions(observed, DAYS, FAMILY.delay, FAMILY.calibration.meta, FAMILY)
    found = np.exp(fit.posterior.mean[0] + fit.posterior.mean[1:4])
    np.testing.assert_allclose(found, CVR, rtol=0.02)
    assert fit.drift_sd < 0.08


def test_fit_conversions__of_few_counts_stays_near_the_default(template: ChannelObservations) -> None:
    observed = make_exact(template, 1.0, 700.0)
    fit = fit_conversions(observed, DAYS, FAMILY.delay, FAMILY.calibration.meta, FAMILY)
    prior_ratio = np.log(FAMILY.calibration.meta.device_conversion_ratio)
    assert np.abs(fit.posterior.mean[1:4] - prior_ratio).max() < 0.1
    assert fit.drift_sd == pytest.approx(FAMILY.conversion_drift_sd, rel=0.05)

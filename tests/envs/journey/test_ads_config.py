"""Parameters, catalogue and response formulas of the ad journey."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envs.journey.ads_config import (
    AdsJourneyConfig,
    compute_choice_score,
    compute_conversion_delay,
    compute_conversion_probability,
    make_catalogue,
)
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.errors import ConfigError

STOCK = AdsJourneyConfig()
UNIFORM = st.floats(0.0, 1.0, exclude_max=True)


@pytest.mark.parametrize(
    ("field", "setting"),
    [
        ("num_topics", 0),
        ("mean_ctr", 0.0),
        ("mean_ctr", 1.0),
        ("interest_weight", 0.0),
        ("fatigue", 1.0),
        ("interest_step", 1.5),
        ("quality_sd", -0.1),
        ("quality_sd", math.nan),
        ("conversion_rate_median", 0.0),
        ("conversion_rate_log_sd", math.inf),
        ("conversion_rate_limit", 1.1),
        ("conversion_interest", math.nan),
        ("time_budget", math.inf),
        ("page_view_time", 0.0),
        ("click_time", -1.0),
    ],
)
def test_config__names_the_setting_that_is_out_of_range(field: str, setting: float) -> None:
    with pytest.raises(ConfigError, match=f"{field} of the ad journey is {setting!r}"):
        replace(STOCK, **{field: setting})


@pytest.mark.parametrize("sizes", [{"slate_size": 0}, {"slate_size": 11}, {"num_candidates": 21}])
def test_config__refuses_a_slate_that_the_catalogue_cannot_fill(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="in rising order"):
        replace(STOCK, **sizes)


@given(st.floats(0.001, 0.9), st.floats(0.05, 3.0))
def test_base_log_odds__give_the_mean_click_rate_over_uniform_interests(mean_ctr: float, weight: float) -> None:
    """Midpoint rule over interests, an independent way to the closed form."""
    config = replace(STOCK, mean_ctr=mean_ctr, interest_weight=weight)
    interests = (np.arange(20_000) + 0.5) / 10_000 - 1.0
    clicks = 1.0 / (1.0 + np.exp(-config.base_log_odds - weight * interests))
    assert clicks.mean() == pytest.approx(mean_ctr, rel=1e-6)


def test_catalogue__comes_from_the_seed_alone() -> None:
    first, again, other = make_catalogue(STOCK, 3), make_catalogue(STOCK, 3), make_catalogue(STOCK, 4)
    np.testing.assert_array_equal(first.quality, again.quality)
    np.testing.assert_array_equal(first.topic, again.topic)
    assert not np.array_equal(first.quality, other.quality)


def test_catalogue__has_the_stated_distributions() -> None:
    """Bounds are four standard errors of 40,000 creatives."""
    catalogue = make_catalogue(replace(STOCK, num_creatives=40_000), 0)
    assert catalogue.quality.mean() == pytest.approx(0.0, abs=4 * 0.15 / 200)
    assert catalogue.quality.std() == pytest.approx(0.15, rel=4 / math.sqrt(80_000))
    logs = np.log(catalogue.conversion_rate)
    assert logs.mean() == pytest.approx(math.log(0.05), abs=4 * 0.3 / 200)
    assert logs.std() == pytest.approx(0.3, rel=4 / math.sqrt(80_000))
    counts = np.bincount(catalogue.topic, minlength=8)
    assert counts.size == 8
    assert np.abs(counts - 5_000).max() < 4 * math.sqrt(40_000 / 8 * 7 / 8)


def test_catalogue__caps_conversion_rates() -> None:
    config = replace(STOCK, conversion_rate_median=0.4, conversion_rate_log_sd=2.0, num_creatives=500)
    rates = make_catalogue(config, 0).conversion_rate
    assert rates.max() == 0.5
    assert (rates == 0.5).sum() > 100


@given(st.floats(-20.0, 20.0), st.floats(-20.0, 20.0))
def test_choice_score__keeps_the_order_of_ads_under_every_choice(low: float, high: float) -> None:
    low, high = sorted((low, high))
    for choice in ("mnl", "proportional", "exponential_cascade"):
        assert compute_choice_score(low, choice) <= compute_choice_score(high, choice)
    assert math.exp(compute_choice_score(high, "exponential_cascade")) <= 1.0
    assert compute_choice_score(low, "proportional") == math.exp(low)


@given(st.floats(0.0, 0.5), st.floats(-1.0, 1.0))
def test_conversion_probability__is_a_probability_and_the_creatives_own_without_interest(
    rate: float, interest: float
) -> None:
    assert 0.0 <= compute_conversion_probability(rate, interest, 0.5) <= 1.0
    assert compute_conversion_probability(rate, 0.0, 0.5) == rate
    assert compute_conversion_probability(0.9, 1.0, 0.5) == 1.0


@example(0.35, 0.5)
@given(UNIFORM, UNIFORM)
def test_conversion_delay__lies_within_the_mixtures_support(component: float, quantile: float) -> None:
    delay = ConversionDelay()
    hours = compute_conversion_delay(delay, component, quantile)
    assert 0.0 <= hours < math.inf
    assert (hours > 0.0) == (component >= delay.immediate and quantile > 0.0)


def test_conversion_delay__follows_the_mixtures_distribution() -> None:
    """P(delay < t) at six times; bounds are four standard errors of 40,000 draws."""
    delay, rng = ConversionDelay(), np.random.default_rng(0)
    hours = np.array([compute_conversion_delay(delay, *pair) for pair in rng.random((40_000, 2))])
    times = np.array([0.5, 2.0, 10.0, 48.0, 120.0, 500.0])
    expected = delay.compute_cdf(times)
    observed = (hours[:, None] < times).mean(axis=0)
    assert (np.abs(observed - expected) < 4 * np.sqrt(expected * (1 - expected) / hours.size)).all()


def test_conversion_delay__may_be_immediate_only() -> None:
    assert compute_conversion_delay(ConversionDelay(1.0, (), ()), 0.999999, 0.5) == 0.0

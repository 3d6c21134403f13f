"""The demand model's slopes are those of its own expectations, and bids are filled by rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.report_rows import make_observations
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.response.demand_model import (
    DemandData,
    DemandLayout,
    Hyper,
    compute_terms,
    fill_bids,
    make_demand_data,
)
from gaelp_rl.response.posterior import score_terms
from tests.gaelp_rl.response.markets import draw_market, make_varied_record

FAMILY = load_family("campaign")
DAYS = 28
HYPER = Hyper(0.1, 0.1, 0.15, 4.0, 4.0, 4.0)


@pytest.fixture(scope="module")
def record():
    return make_varied_record(draw_market(1), 1)


def make_data(record, channel: str, with_plans: bool = True) -> tuple[DemandLayout, DemandData, np.ndarray]:
    observed = make_observations(record, 0, with_plans).channels[CHANNELS[CHANNELS.index(channel)]]
    centre = getattr(FAMILY.calibration, channel)
    layout = DemandLayout(DAYS, with_plans or centre.first_price)
    everything = np.ones(observed.hour.size, dtype=np.bool_)
    bid = fill_bids(observed, centre)
    usable = everything & np.isfinite(bid).all(axis=1)
    share = np.array(centre.device_share)
    data = make_demand_data(observed, layout, 0, centre, FAMILY, everything * 1.0, usable, share, bid)
    theta = np.zeros(layout.size)
    theta[:3] = np.log([centre.click_volume_per_day / centre.ctr, centre.price_median, centre.price_sigma])
    theta[layout.BID] = np.log(centre.price_median)
    theta[layout.TRAFFIC] = np.log(centre.hour_traffic)
    return layout, data, theta


@pytest.mark.parametrize(
    ("channel", "with_plans"), [("google", True), ("meta", True), ("tiktok", True), ("meta", False)]
)
def test_terms__slopes_are_those_of_their_expectations(record, channel: str, with_plans: bool) -> None:
    """Numeric differences of the residuals, for one parameter of each kind."""
    layout, data, theta = make_data(record, channel, with_plans)
    kinds = [0, 1, 2, 4, layout.TRAFFIC.start + 9, layout.PRICE_CURVE.start + 9, layout.WEEKDAY.start + 2]
    kinds += [layout.volume_drift.start + 3, layout.price_drift.start + 3]
    kinds += [] if layout.has_bids else [layout.BID, layout.bid_drift.start + 3]
    terms = compute_terms(theta, layout, data, HYPER)
    for k in kinds:
        moved = theta.copy()
        moved[k] += 1e-5
        for at, after in zip(terms, compute_terms(moved, layout, data, HYPER), strict=True):
            slope = -(after.residual - at.residual) / 1e-5
            np.testing.assert_allclose(at.slope[:, k], slope, rtol=2e-2, atol=1e-3 * np.abs(slope).max() + 1e-6)


def test_terms__hold_what_the_channel_reports(record) -> None:
    """Impressions always; eligible impressions on Google; spend where prices are second."""
    counts = [
        len(compute_terms(theta, layout, data, HYPER))
        for layout, data, theta in (make_data(record, c) for c in CHANNELS)
    ]
    assert counts == [3, 2, 1, 3]


def test_score_terms__on_given_variances_compares_points_on_one_scale(record) -> None:
    layout, data, theta = make_data(record, "google")
    terms = compute_terms(theta, layout, data, HYPER)
    double = score_terms(terms, [2.0 * term.variance for term in terms])
    single = score_terms(terms)
    assert double.log_likelihood == pytest.approx(0.5 * single.log_likelihood)
    np.testing.assert_allclose(double.gradient, 0.5 * single.gradient)


def test_fill_bids__takes_what_was_paid_at_first_price_and_one_at_second(record) -> None:
    account = make_observations(record, 0, with_plans=False)
    tiktok, meta = (account.channels[CHANNELS[c]] for c in (2, 1))
    paid = fill_bids(tiktok, FAMILY.calibration.tiktok)[:, 0]
    clicked = tiktok.clicks[:, 0] > 0
    np.testing.assert_allclose(paid[clicked], (tiktok.spend / np.maximum(tiktok.clicks, 1))[clicked, 0])
    in_force = make_observations(record, 0).channels[CHANNELS[2]].bid[:, 0]
    np.testing.assert_allclose(paid, in_force, rtol=1e-4)
    assert (fill_bids(meta, FAMILY.calibration.meta) == 1.0).all()


def test_fill_bids__a_day_without_clicks_tells_nothing(record) -> None:
    tiktok = make_observations(record, 0, with_plans=False).channels[CHANNELS[2]]
    silent = replace(tiktok, clicks=np.where(tiktok.hour[:, None] < 24, 0.0, tiktok.clicks))
    assert np.isnan(fill_bids(silent, FAMILY.calibration.tiktok)[:24]).all()

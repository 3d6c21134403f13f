"""Demand fits where a channel's hours say nothing about its volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments.report_rows import make_observations
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import Channel
from gaelp_rl.response.demand import fit_demand
from tests.gaelp_rl.response.markets import draw_market, make_varied_record

FAMILY = load_family("campaign")
DAYS = 28


def test_fit_demand__of_a_channel_that_spends_its_budget_every_day_keeps_the_default() -> None:
    """Where platforms do not say what a budget lost, no such hour tells how much demand there was."""
    observed = make_observations(make_varied_record(draw_market(1), 1), 0, True).channels[Channel.META]
    spend = np.bincount(observed.hour // 24, observed.spend.sum(axis=1))[observed.hour // 24]
    paced = replace(observed, daily_budget=spend, lost_to_budget=np.full(observed.hour.size, np.nan))
    fit = fit_demand(paced, 0, DAYS, FAMILY.calibration.meta, FAMILY)
    layout = fit.layout
    assert fit.posterior.mean[layout.VOLUME] == fit.prior.mean[layout.VOLUME]
    assert np.isfinite(fit.device_share).all()
    np.testing.assert_allclose(fit.device_share.sum(), 1.0)
    usual = fit_demand(observed, 0, DAYS, FAMILY.calibration.meta, FAMILY)
    assert (fit.device_share_sd > usual.device_share_sd).all()

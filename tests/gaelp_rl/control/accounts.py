"""Ledgers fed by hand: accounts whose every report the test has written."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.control.planner import Planner
from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import make_reporting_profile
from gaelp_rl.domain.reports import ReportBatch

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

__all__ = ["PROMPT", "Reports", "make_ledger", "make_report", "play", "sample_reports"]

PROMPT = ConversionDelay(immediate=1.0, weights=(), mean_hours=())
"""Every conversion is known within the hour of its click (and its channel's lag)."""

Reports = list[ReportBatch]


def make_report(
    hour: int, worlds: int = 1, clicks: ArrayLike = 0, spend: ArrayLike = 0.0, conversions: ArrayLike = 0.0
) -> ReportBatch:
    """One batch; clicks, spend (currency units) and conversions broadcast to [worlds, channels]."""
    shape = (worlds, NUM_CHANNELS)
    clicks = np.broadcast_to(np.asarray(clicks, dtype=np.int64), shape)
    conversions = np.broadcast_to(np.asarray(conversions, dtype=np.float64), shape)
    unknown = np.full(shape, np.nan)
    return ReportBatch(
        hour=hour,
        impressions=clicks * 50,
        clicks=clicks,
        spend_micros=np.broadcast_to(np.rint(np.asarray(spend) * MICROS).astype(np.int64), shape),
        conversions=conversions,
        conversion_value_micros=(conversions * 100 * MICROS).astype(np.int64),
        device_impressions=np.zeros((*shape, NUM_DEVICES)),
        device_clicks=np.zeros((*shape, NUM_DEVICES)),
        impression_share=unknown,
        lost_share_budget=unknown,
        lost_share_rank=unknown,
    )


def make_ledger(worlds: int = 1, delay: ConversionDelay = PROMPT, daily_budget: float = 500.0) -> ReportLedger:
    """A ledger at hour 0: median bids and an even split in force, nothing reported."""
    ledger = ReportLedger(worlds, make_reporting_profile(), delay)
    ledger.observe(make_report(0, worlds))
    shape = (worlds, NUM_CHANNELS)
    bid = np.broadcast_to(STOCK.price_median, shape)
    ledger.record_plan(PlanBatch.from_currency(bid, np.full(shape, daily_budget / NUM_CHANNELS)))
    return ledger


def play(planner: Planner, ledger: ReportLedger, reports: Reports) -> list[PlanBatch]:
    """Resets the planner, then plans hour by hour; its plans are in force unlimited."""
    planner.reset(ledger)
    plans = [planner.plan(ledger)]
    for report in reports:
        ledger.record_plan(plans[-1])
        ledger.observe(report)
        plans.append(planner.plan(ledger))
    return plans


def sample_reports(rng: np.random.Generator, worlds: int, hours: int) -> Reports:
    """Noisy reports of an account that spends about 500 a day, whatever its plan."""
    reports = []
    for hour in range(1, hours + 1):
        clicks = rng.poisson([4.0, 6.0, 5.0, 2.0], size=(worlds, NUM_CHANNELS))
        spend = clicks * rng.uniform(0.5, 2.0, size=clicks.shape)
        reports.append(make_report(hour, worlds, clicks, spend, rng.poisson(0.05 * clicks)))
    return reports

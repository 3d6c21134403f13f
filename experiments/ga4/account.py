"""The ad account: a market run for some weeks, with the truth that no report holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.recorder import MarketRecord, MarketRecorder
from experiments.ga4.settings import ExportSettings
from experiments.report_rows import sample_varied_bids, write_plans, write_report_rows
from gaelp_rl.config.calibration import make_calibration_arrays
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray

__all__ = ["Account", "run_account"]


@dataclass(frozen=True, slots=True)
class Account:
    """What one account did in its world.

    Attributes:
        record: of the market; one world.
        expected_conversions: float64 [channels, devices]; clicks times the true rate of their hour,
            learning phases included.
        delays: true delay of conversions by channel.
    """

    record: MarketRecord
    expected_conversions: FloatArray
    delays: tuple[ConversionDelay, ...]

    @property
    def num_hours(self) -> int:
        """Hours that the account ran."""
        return self.record.clicks.shape[1]

    def write(self, reports: Path, plans: Path) -> tuple[int, int]:
        """Writes reports and plans, as ``gaelp record`` does.

        Args:
            reports: ends in ``.csv`` or ``.parquet``.
            plans: likewise.

        Returns:
            Rows of reports and of plans.
        """
        return write_report_rows(reports, self.record, 0), write_plans(plans, self.record, 0)


def run_account(settings: ExportSettings) -> Account:
    """Runs the account: an even split, bids that walk from day to day.

    Args:
        settings: names the family, the seed, the days and the budget.

    Raises:
        ConfigError: the family does not exist.
    """
    family = load_family(settings.family).model_copy(
        update={"daily_budget_micros": round(settings.daily_budget * MICROS), "days": settings.days}
    )
    market = BatchedMarket(family, 1)
    keys = make_world_keys("validation", settings.seed, 1)
    market.reset(keys)
    rates = market.compute_response_curves().conversion_rate[0].reshape(market.num_hours, NUM_CHANNELS, -1)
    recorder = MarketRecorder(market, seed=int(keys[0] % 2**32))
    prices = make_calibration_arrays(family.calibration).price_median
    bids = sample_varied_bids(np.random.default_rng(settings.seed), prices, settings.days)
    budgets = np.full((1, NUM_CHANNELS), settings.daily_budget / NUM_CHANNELS)
    learning = np.empty((market.num_hours, NUM_CHANNELS))
    for hour in range(market.num_hours):
        _, outcome = recorder.step(PlanBatch.from_currency(bids[hour // 24][None, :], budgets))
        learning[hour] = outcome.learning[0]
    record = recorder.make_record()
    factor = np.where(learning > 0, family.learning_conversion_factor, 1.0)
    delay_scales = market._exogenous.delay_scale[0]
    return Account(
        record=record,
        expected_conversions=(record.clicks[0] * np.minimum(rates * factor[:, :, None], 1.0)).sum(axis=0),
        delays=tuple(family.delay.scale(float(scale)) for scale in delay_scales),
    )

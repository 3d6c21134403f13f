"""``gaelp record``: the reports and plans that an account would hold after running in a simulated market."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from envs.market.noise import make_world_keys
from experiments.progress import make_console
from experiments.report_rows import record_market, sample_varied_bids, write_plans, write_report_rows
from gaelp_rl.config.calibration import make_calibration_arrays
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.errors import ConfigError

__all__ = ["run_record"]

_FORMATS = (".csv", ".parquet")


def run_record(
    family: str, seed: int, budget: float, reports: Path, plans: Path, console: Console | None = None
) -> None:
    """Runs one account for the world's life, its bids walking from day to day, and writes what it saw.

    Args:
        family: name of a family, or the path of a market TOML.
        seed: of the world and of the walk.
        budget: currency units a day, split evenly over channels; also the account's limit.
        reports: where report rows go, CSV or Parquet: several readings of each hour, conversions restated.
        plans: where bids and budgets in force go, CSV or Parquet.
        console: says what was written.

    Raises:
        ConfigError: the family does not exist, the budget is not positive, or a file is neither CSV nor Parquet.
    """
    if not budget > 0:
        msg = f"the daily budget is {budget}: an account without money records nothing; it must be above 0"
        raise ConfigError(msg)
    for path in (reports, plans):
        if path.suffix not in _FORMATS:
            msg = f"{str(path)!r} is neither CSV nor Parquet: name it .csv or .parquet"
            raise ConfigError(msg)
    market = load_family(family).model_copy(update={"daily_budget_micros": round(budget * MICROS)})
    prices = make_calibration_arrays(market.calibration).price_median
    bids = sample_varied_bids(np.random.default_rng(seed), prices, market.days)
    budgets = np.full((1, NUM_CHANNELS), budget / NUM_CHANNELS)
    record = record_market(
        market,
        make_world_keys("validation", seed, 1),
        lambda hour: PlanBatch.from_currency(bids[hour // 24][None, :], budgets),
    )
    show = console or make_console()
    for path in (reports, plans):
        path.parent.mkdir(parents=True, exist_ok=True)
    show.print(f"reports: {reports} ({write_report_rows(reports, record, 0):,} rows)")
    show.print(f"plans: {plans} ({write_plans(plans, record, 0):,} rows)")
    show.print(f"Next: gaelp calibrate {reports} --plans {plans}")

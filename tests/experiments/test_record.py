"""What a simulated account holds can be read back as a real one's."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from experiments.record import run_record
from gaelp_rl.config.market import load_family
from gaelp_rl.errors import ConfigError
from gaelp_rl.response.report_files import load_plans, load_reports


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_run_record__writes_reports_and_plans_that_load(tmp_path: Path, suffix: str) -> None:
    """Every row is accepted, and spend stays within the daily budget."""
    reports, plans = tmp_path / "new" / f"reports{suffix}", tmp_path / f"plans{suffix}"
    run_record("mild", 1, 400.0, reports, plans, Console(file=io.StringIO()))
    parsed = load_reports(reports)
    assert not parsed.quarantined
    assert parsed.duplicates == 0
    spend_by_hour = {report.key: report.spend_micros for report in parsed.accepted}
    assert 0 < sum(spend_by_hour.values()) <= 400e6 * load_family("mild").days
    assert len(load_plans(plans)) > 0


def test_run_record__refuses_what_it_cannot_write(tmp_path: Path) -> None:
    good = tmp_path / "reports.csv"
    with pytest.raises(ConfigError, match="budget is 0"):
        run_record("mild", 1, 0.0, good, tmp_path / "plans.csv")
    with pytest.raises(ConfigError, match="neither CSV nor Parquet"):
        run_record("mild", 1, 100.0, good, tmp_path / "plans.xlsx")
    with pytest.raises(ConfigError, match="campaign"):
        run_record("campain", 1, 100.0, good, tmp_path / "plans.csv")

"""Files in, rows out; what cannot be read is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gaelp_rl.domain.channels import Channel
from gaelp_rl.errors import DataError
from gaelp_rl.response.observations import PlannedHour
from gaelp_rl.response.report_files import load_plans, load_reports

HEADER = (
    "account,channel,campaign,creative,device,hour,as_of,impressions,clicks,spend,conversions,"
    "conversion_value,conversion_source,currency\n"
)
GOOD = 'a,google,1,k,mobile,2026-01-05T00:00:00Z,2026-01-06T00:00:00Z,"1,200",10,12.50,1,0,platform,USD\n'


def write(tmp_path: Path, text: str, name: str = "file.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_load_reports__every_row_is_accepted_quarantined_or_a_duplicate(tmp_path: Path) -> None:
    bad = GOOD.replace("google", "goggle")
    parsed = load_reports(write(tmp_path, HEADER + GOOD + GOOD + bad))
    assert (len(parsed.accepted), len(parsed.quarantined), parsed.duplicates) == (1, 1, 1)
    assert (parsed.accepted[0].impressions, parsed.accepted[0].spend_micros) == (1200, 12_500_000)
    assert "Did you mean 'google'" in str(parsed.quarantined[0][1])


def test_load_reports__empty_cells_are_missing(tmp_path: Path) -> None:
    parsed = load_reports(write(tmp_path, HEADER + GOOD.replace("mobile", "")))
    assert parsed.accepted[0].device is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("reports.xlsx", "x", r"'\.xlsx' cannot be read; give \.csv or \.parquet"),
        ("reports.parquet", "no parquet", r"cannot be read as parquet"),
    ],
)
def test_load_reports__names_what_it_cannot_read(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_reports(write(tmp_path, text, name))


def test_load_reports__a_missing_file_suggests_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, HEADER, "reports.csv")
    with pytest.raises(DataError, match=r"no file .*report\.csv.*Did you mean 'reports\.csv'"):
        load_reports(tmp_path / "report.csv")


def test_load_plans__modifiers_and_activity_have_defaults(tmp_path: Path) -> None:
    text = "channel,hour,bid,daily_budget,modifier_mobile\nmeta,2026-01-05T02:00:00+01:00,2.0,50,0.5\n"
    plans = load_plans(write(tmp_path, text))
    assert plans == {(Channel.META, datetime(2026, 1, 5, 1, tzinfo=UTC)): PlannedHour((1.0, 2.0, 2.0), 50.0, True)}


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("bid", "-1", r"plan 1: field 'bid': '-1' is negative"),
        ("bid", "", r"field 'bid': None is missing; a plan needs channel, hour, bid, daily_budget"),
        ("channel", "metta", r"'metta' is not a channel\. Did you mean 'meta'"),
        ("hour", "2026-01-05T00:00:00", r"has no time zone"),
        ("hour", "noon", r"is not an ISO 8601 time"),
        ("active", "perhaps", r"'perhaps' is neither true nor false"),
        ("modifier", "1", r"'modifier': '1' is in an unknown column\. Did you mean 'modifier_"),
    ],
)
def test_load_plans__names_row_column_and_cell(column: str, cell: str, message: str, tmp_path: Path) -> None:
    cells = {"channel": "meta", "hour": "2026-01-05T00:00:00Z", "bid": "2.0", "daily_budget": "50", "active": "true"}
    cells[column] = cell
    with pytest.raises(DataError, match=message):
        load_plans(write(tmp_path, ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"))

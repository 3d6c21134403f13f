"""From an export to facts, rates, delays and joined reports: the shipped export, and known truths recovered."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from experiments.ga4.export import run_ga4_export
from experiments.ga4.settings import make_settings
from experiments.ga4_estimates import estimate_all
from experiments.ga4_facts import read_attributed_export, run_ga4_facts, write_reports
from gaelp_rl.bootstrap.ga4_shards import find_shards
from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.hourly_report import ConversionSource, HourlyReport
from gaelp_rl.domain.numbers import CensoredShare, Censoring
from gaelp_rl.errors import DataError
from gaelp_rl.response.observations import make_account_observations
from gaelp_rl.response.report_files import load_reports

EXPORT = Path(__file__).parents[1] / "data" / "ga4"
SETTINGS = Ga4Config(property_time_zone="America/New_York")


def quiet():
    return Console(file=io.StringIO(), width=160)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The shipped export, read once: result, summary, console text."""
    console = quiet()
    result = run_ga4_facts(EXPORT, EXPORT / "reports.parquet", tmp_path_factory.mktemp("ga4"), SETTINGS, console)
    return result, json.loads(result.summary.read_text(encoding="utf-8")), console.file.getvalue()


def test_run_ga4_facts__every_row_of_every_table_has_the_fate_that_its_writer_gave_it(small):
    """The generator counts its dirt by file; nothing of the reader went into that."""
    truth = json.loads((EXPORT / "truth.json").read_text(encoding="utf-8"))
    written = {
        Path(shard["file"]).name.partition(".")[0]: shard for shard in truth["shards"] if "/" not in shard["file"]
    }
    read = small[1]["shards"]
    assert set(written) - set(read) == {"events_intraday_20260107"}
    for name, one in read.items():
        known = written[name]
        found = [one[key] for key in ("rows", "accepted", "duplicates", "quarantined", "without_user")]
        assert found == [known[key] for key in ("rows", "events", "duplicates", "malformed", "no_user")], name


def test_run_ga4_facts__writes_facts_that_add_up_and_figures(small):
    result, summary, shown = small
    facts = pq.read_table(result.facts).to_pydict()
    assert sum(facts["landed_clicks"]) == summary["landed_clicks"]
    assert sum(facts["conversions"]) == summary["conversions"]["counted"]
    assert sum(facts["sessions"]) == summary["sessions"]
    assert summary["conversions"]["attributed"] + summary["conversions"]["unpaid"] == summary["conversions"]["counted"]
    assert {path.name for path in result.summary.parent.iterdir()} >= {"delay.png", "cvr.png"}
    assert "4,100 events = 4,061 accepted + 17 quarantined + 22 duplicates" in shown


def test_run_ga4_facts__writes_reports_that_a_calibration_reads(small):
    parsed = load_reports(small[0].reports)
    assert not parsed.quarantined
    assert parsed.duplicates == 0
    by_source = {row.channel: row.conversion_source for row in parsed.accepted}
    assert by_source[Channel.META] == ConversionSource.GA4
    assert by_source[Channel.GOOGLE] == ConversionSource.PLATFORM
    assert set(make_account_observations(parsed.accepted).channels) == set(Channel)


def test_run_ga4_facts__refuses_reports_without_a_usable_row(tmp_path):
    path = tmp_path / "reports.csv"
    path.write_text("account,channel\nacme,google\n", encoding="utf-8")
    with pytest.raises(DataError, match="no usable row of 1"):
        run_ga4_facts(EXPORT, path, tmp_path, SETTINGS, quiet())


def test_write_reports__reads_back_to_equal_rows(tmp_path):
    moment = datetime(2026, 1, 6, 10, tzinfo=UTC)
    shares = (CensoredShare(0.0999), CensoredShare(0.1, Censoring.BELOW), CensoredShare(0.9, Censoring.ABOVE), None)
    rows = tuple(
        HourlyReport(
            "acme", Channel.GOOGLE, "c", str(i), None, moment, moment, 10, 1, 5, 0.75, 3, ConversionSource.GA4, "USD",
            eligible_impressions=None if i else 20, lost_share_budget=share, lost_share_rank=share,
        )
        for i, share in enumerate(shares)
    )  # fmt: skip
    write_reports(tmp_path / "reports.parquet", rows)
    assert load_reports(tmp_path / "reports.parquet").accepted == rows


@pytest.fixture(scope="module")
def recovered(tmp_path_factory):
    """Six accounts of 28 days: truth and estimates of each."""
    found = []
    for seed in range(6):
        folder = tmp_path_factory.mktemp(f"seed{seed}")
        settings = make_settings([f"seed={seed}", "events=70000", "restated_days=0"])
        run_ga4_export(settings, folder, quiet())
        estimates = estimate_all(read_attributed_export(find_shards(folder), SETTINGS, quiet()), SETTINGS)
        found.append((json.loads((folder / "truth.json").read_text(encoding="utf-8")), estimates))
    return found


def make_true_delay(truth, channel):
    one = truth["delays"][channel]
    return ConversionDelay(one["immediate"], tuple(one["weights"]), tuple(one["mean_hours"]))


@pytest.mark.integration
def test_estimate_all__recovers_conversion_rates(recovered):
    """90 % intervals of CVR per channel and device hold the rate that the market drew from, inside the window."""
    inside = []
    for truth, estimates in recovered:
        for (channel, device), rate in estimates.rates.items():
            cell = truth["paid"][channel][device]
            window = float(make_true_delay(truth, channel).compute_cdf(np.array(24.0 * SETTINGS.lookback_days)))
            if cell["landed"]:
                expected = cell["expected_conversions"] / cell["landed"] * window
                inside.append(rate.low <= expected <= rate.high)
    assert len(inside) >= 60
    assert np.mean(inside) >= 0.85


@pytest.mark.integration
def test_estimate_all__recovers_delays(recovered):
    """The product limit at four ages, and the fitted delay's parameters, by channel."""
    shares, parameters = [], []
    for truth, estimates in recovered:
        for channel, one in estimates.delays.items():
            if channel == "all":
                continue
            delay = make_true_delay(truth, channel)
            at = np.searchsorted(one.curve.age_hours, (1.0, 24.0, 72.0, 168.0))
            expected = delay.compute_cdf(one.curve.age_hours[at]) / delay.compute_cdf(np.array(one.horizon_hours))
            shares += ((one.curve.low[at] <= expected) & (expected <= one.curve.high[at])).tolist()
            true = (delay.immediate, *delay.weights, *delay.mean_hours)
            numbers = zip(true, one.parameters.values(), strict=True)
            parameters += [low <= number <= high for number, (_, low, high) in numbers]
    assert np.mean(shares) >= 0.85
    assert np.mean(parameters) >= 0.85

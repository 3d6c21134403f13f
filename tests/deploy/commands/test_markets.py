"""The commands a newcomer types, against a sandbox on this machine: check, reports, push, login."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests
from typer.testing import CliRunner

from connectors.sandbox.faults import FaultKind, FaultScript
from connectors.sandbox.servers import SandboxServers
from connectors.settings import ConnectorsConfig, GuardrailSettings
from deploy import cli
from gaelp_rl.config.loading import load_config
from gaelp_rl.domain.hourly_report import parse_hourly_reports
from tests.sandbox import PLATFORMS, make_world, script

PLAN = """
currency = "USD"
[google]
bid = "1.80"
daily_budget = 200
modifiers = { mobile = 1.1 }
[meta]
bid = 1.1
daily_budget = 120
[tiktok]
bid = 0.8
daily_budget = 80
status = "paused"
[microsoft]
bid = 1.5
daily_budget = 100.50
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox")
    with SandboxServers(make_world(30), plaintext=True, folder=folder) as servers:
        servers.write_files()
        yield servers


@pytest.fixture
def run(sandbox, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in sandbox.environment.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("GAELP_CREDENTIALS", str(sandbox.folder / "credentials"))
    (tmp_path / "plan.toml").write_text(PLAN)
    config = ["--config", str(sandbox.folder / "connectors.toml")]
    runner = CliRunner()

    def invoke(command: str, *arguments: str, config: list[str] = config):
        return runner.invoke(cli.app, [command, *arguments, *config], prog_name="gaelp", env={"COLUMNS": "200"})

    yield invoke
    sandbox.injector.set_script(FaultScript())


def test_check__says_what_it_reaches(run):
    result = run("check")
    assert result.exit_code == 0, result.output
    assert [line.split(":")[1].strip() for line in result.output.splitlines() if line[0] != " "] == ["ok"] * 5


def test_check__ends_in_1_and_goes_on_when_one_fails(run, sandbox):
    sandbox.injector.set_script(script(FaultKind.AUTH_EXPIRED, "any", platforms=("meta",), probability=1.0))
    result = run("check")
    assert result.exit_code == 1
    assert "meta: FAILED: meta 190" in result.output
    assert result.output.count(": ok:") == 4


def test_reports__are_a_table_and_a_file_that_calibrate_can_read(run, sandbox, tmp_path):
    result = run("reports", "--hours", "30", "--out", "rows.parquet")
    assert result.exit_code == 0, result.output
    assert all(name in result.output for name in (*PLATFORMS, "15,000 operations a day"))
    rows = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    parsed = parse_hourly_reports(rows)
    assert not parsed.quarantined
    assert len(parsed.accepted) == len(rows) > 100


def test_reports__of_one_platform_that_fails_say_why(run, sandbox):
    sandbox.injector.set_script(script(FaultKind.AUTH_EXPIRED, "any", platforms=("tiktok",), probability=1.0))
    result = run("reports")
    assert result.exit_code == 2
    assert "40105" in result.output
    assert "spend" in result.output


def test_push__is_a_dry_run_then_writes_then_has_nothing_to_do(run, sandbox):
    dry = run("push", "plan.toml")
    assert dry.exit_code == 0, dry.output
    assert "A dry run: nothing was written." in dry.output
    assert not any(account.num_writes for account in sandbox.world.accounts.values())
    written = run("push", "plan.toml", "--sandbox")
    assert written.exit_code == 0, written.output
    assert "accepted" in written.output
    assert "1.80" in written.output
    again = run("push", "plan.toml", "--sandbox")
    assert again.output.count("nothing to change") == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("daily_budget = 200", "daily_budget = 2000", "all channels: total_budget_too_high: budgets of 2,220.5 in all"),
        ('bid = "1.80"', "bid = 180", "google: bid_too_high: 180 must be at most 20"),
        ("mobile = 1.1", "mobile = 11", "google: modifier_unusable: [11.0, 1.0, 1.0] must be above 0 and at most 4.0"),
        ('currency = "USD"', 'currency = "EUR"', "the plan is in EUR, the [guardrails] in USD"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--sandbox"], ["--live", "--yes"]])
def test_push__never_passes_a_guardrail(run, sandbox, tmp_path, old, new, said, flags):
    (tmp_path / "plan.toml").write_text(PLAN.replace(old, new))
    writes = [account.num_writes for account in sandbox.world.accounts.values()]
    result = run("push", "plan.toml", *flags)
    assert result.exit_code == 2
    assert said in result.output
    assert [account.num_writes for account in sandbox.world.accounts.values()] == writes


def test_push__takes_the_users_guardrails(run, sandbox, tmp_path):
    text = (sandbox.folder / "connectors.toml").read_text()
    assert "[guardrails]" in text
    (tmp_path / "strict.toml").write_text(text.replace("daily_budget = 1000", "daily_budget = 300"))
    result = run("push", "plan.toml", config=["--config", str(tmp_path / "strict.toml")])
    assert (result.exit_code, "at most 300 are allowed" in result.output) == (2, True)


def test_push_live__refuses_an_overridden_endpoint(run):
    result = run("push", "plan.toml", "--live", "--yes")
    assert result.exit_code == 1
    assert result.output.count("remove the override") == 4


def test_push_live__asks_first(run, sandbox):
    writes = [account.num_writes for account in sandbox.world.accounts.values()]
    result = run("push", "plan.toml", "--live")
    assert result.exit_code == 1
    assert "Write to the live accounts of google, meta, tiktok, microsoft?" in result.output
    assert [account.num_writes for account in sandbox.world.accounts.values()] == writes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "goggle"), "google"),
        (("push", "gone.toml"), "gone.toml"),
        (("push", "plan.toml", "--live", "--sandbox"), "exclude each other"),
        (("reports", "--out", "rows.xls"), ".csv or .parquet"),
    ],
)
def test_wrong_input__is_answered_with_the_next_move(run, arguments, says):
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.output


def test_missing_config__points_to_the_sandbox(run):
    result = run("check", config=["--config", "gone.toml"])
    assert result.exit_code == 2
    assert "gaelp sandbox" in result.output


@pytest.mark.parametrize(("line", "says"), [("bid = -1", "google bid_micros"), ('bid = "much"', "google.bid")])
def test_plan__that_is_wrong_names_the_field(run, tmp_path, line, says):
    (tmp_path / "plan.toml").write_text(PLAN.replace('bid = "1.80"', line))
    result = run("push", "plan.toml")
    assert result.exit_code == 2
    assert says in result.output


def test_login__walks_through_consent_and_asks_for_what_is_missing(tmp_path, monkeypatch, sandbox):
    """No browser here: the page it prints is opened by hand."""
    monkeypatch.setenv("GAELP_CREDENTIALS", str(tmp_path / "credentials"))
    for name in ("META_APP_ID", "META_APP_SECRET", "META_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("webbrowser.open", lambda url: threading.Thread(target=requests.get, args=(url,)).start())
    endpoint = sandbox._platforms["meta"].token_endpoint
    result = CliRunner().invoke(
        cli.app, ["login", "meta", "--endpoint", endpoint, "--timeout", "10"], input="1234567\ncanary-secret\n"
    )
    assert result.exit_code == 0, result.output
    assert "gaelp check meta" in result.output
    assert "canary-secret" not in result.output
    assert (tmp_path / "credentials" / "meta.json").stat().st_mode & 0o777 == 0o600


def test_login__to_nowhere_suggests_a_platform():
    result = CliRunner().invoke(cli.app, ["login", "tictoc"])
    assert result.exit_code == 2
    assert "tiktok" in result.output


def test_files_in_the_docs__are_ones(tmp_path):
    from experiments.live_push import check_guardrails, load_plan, make_plan

    text = (Path(__file__).resolve().parents[3] / "docs" / "connectors.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```toml\n")[1:]]
    path = tmp_path / "plan.toml"
    path.write_text(next(block for block in blocks if block.startswith("# plan.toml")))
    check_guardrails(make_plan(load_plan(path), datetime.now(UTC)), GuardrailSettings())
    settings = next(block for block in blocks if block.startswith("# connectors.toml"))
    path.write_text(settings)
    assert load_config(ConnectorsConfig, path).guardrails == GuardrailSettings()

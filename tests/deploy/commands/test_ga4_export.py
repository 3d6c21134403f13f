"""What ``gaelp ga4-export`` asks for is what the generator gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy import cli
from experiments.ga4 import export
from experiments.ga4.settings import ExportSettings, make_settings


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ExportSettings, Path]]:
    made: list[tuple[ExportSettings, Path]] = []
    monkeypatch.setattr(export, "run_ga4_export", lambda settings, out: made.append((settings, out)))
    return made


def _run(*arguments: str):
    return CliRunner().invoke(cli.app, ["ga4-export", *arguments], prog_name="gaelp", env={"COLUMNS": "200"})


def test_ga4_export__passes_its_options_on(calls: list, tmp_path: Path) -> None:
    result = _run(
        "--days", "7", "--budget", "80", "--format", "jsonl", "--set", "dirt.late=0.5", "--out", str(tmp_path)
    )
    assert result.exit_code == 0, result.output
    expected = make_settings(["days=7", "daily_budget=80.0", 'format="jsonl"', "dirt.late=0.5"])
    assert calls == [(expected, tmp_path)]


def test_ga4_export__small_is_a_start_that_options_change(calls: list) -> None:
    assert _run("--small", "--seed", "9").exit_code == 0
    settings, out = calls[0]
    assert settings == make_settings(["seed=9"], small=True)
    assert (settings.days, settings.format, settings.seed) == (4, "mixed", 9)
    assert out == Path("runs/ga4")


@pytest.mark.parametrize(
    ("override", "message"),
    [("dirt.late=1.5", "dirt.late"), ("property_time_zone=Mars/Base", "IANA"), ("dirt.lte=0.1", "Did you mean 'late'")],
)
def test_ga4_export__refuses_settings_that_make_no_sense(calls: list, override: str, message: str) -> None:
    result = _run("--set", override)
    assert result.exit_code == 2
    assert message in result.output
    assert not calls

"""From an account's files to a sprint that starts from them, is stopped, and goes on without them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from experiments.bootstrap_start import choose_bootstrap
from experiments.progress import make_console
from experiments.sprint_process import SprintProcess, list_numbers
from gaelp_rl.bootstrap.artefact import load_bootstrap
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.errors import ArtifactError, UnknownReferenceError
from gaelp_rl.policy import load_policy
from gaelp_rl.tracking import connect

pytestmark = pytest.mark.integration

_SMALL = ("updates=20", "rollout_worlds=4", "rollout_days=2", "baseline_worlds=4", "time_zone='America/New_York'")


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), prog_name="gaelp", env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def _load_settings(folder: Path, *overrides: str) -> SprintConfig:
    return load_config(SprintConfig, folder / "sprint.toml", overrides)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of a generated account, and settings whose MLflow store lies beside them."""
    folder = tmp_path_factory.mktemp("account")
    _run("ga4-export", "--events", "30000", "--days", "14", "--out", str(folder))
    lines = ["[tracking]", f'database = "{folder / "mlflow.db"}"', f'artifact_root = "{folder / "artifacts"}"']
    (folder / "sprint.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def reference(account: Path) -> str:
    """``gaelp bootstrap`` on export, reports and plans; returns the reference that it prints."""
    return _bootstrap(account, "boot", "--plans", str(account / "plans.csv"))


def _bootstrap(account: Path, out: str, *more: str) -> str:
    settings = [part for one in (*_SMALL, "ga4.property_time_zone='America/New_York'") for part in ("--set", one)]
    printed = _run(
        "bootstrap",
        *("--ga4", str(account), "--reports", str(account / "reports.csv"), "--out", str(account / out)),
        *("--sprint-config", str(account / "sprint.toml"), *settings, *more),
    )
    return re.search(r"runs:/\w+/bootstrap", printed)[0]


def test_bootstrap__records_what_it_made(account: Path, reference: str) -> None:
    """Folder and MLflow run hold the same artefact; the offline policy is an ordinary one."""
    config = _load_settings(account)
    artefact = load_bootstrap(account / "boot" / "artefact")
    assert artefact.counts["log_days"] == 10  # 14 from a Monday on, 4 of them not matured
    assert artefact.counts["rollout_days"] == 8
    run = connect(config.tracking).get_run(reference.split("/")[1])
    assert run.info.status == "FINISHED"
    assert run.data.tags["bootstrap"] == artefact.sha256
    assert run.data.metrics["bootstrap/transitions"] == 18 * 24
    assert run.data.params["updates"] == "20"
    assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["account-log"]
    assert load_policy(account / "boot" / "policy").network is not None


def test_bootstrap__without_plans_learns_from_the_calibrated_market_alone(account: Path) -> None:
    _bootstrap(account, "no-plans")
    artefact = load_bootstrap(account / "no-plans" / "artefact")
    assert artefact.counts == {"log_days": 0.0, "rollout_days": 8.0, "transitions": 8.0 * 24}


def test_sprint__starts_from_a_run_and_goes_on_without_it(account: Path, reference: str, tmp_path: Path) -> None:
    """Stopped after its first checkpoints; when it goes on, the history is gone and not asked for."""
    store = json.dumps(str(account / "mlflow.db")), json.dumps(str(account / "artifacts"))
    out = tmp_path / "sprint"
    overrides = (f'bootstrap="{reference}"', f"tracking.database={store[0]}", f"tracking.artifact_root={store[1]}")
    with SprintProcess(out, resume=False, overrides=overrides) as first:
        first.wait_until_under_way(0)
        printed = " ".join(first.printed.split())
        assert f"starts from {reference}" in printed
        assert "432 transitions" in printed
        assert first.stop() == 130
    kept = account / "artifacts" / reference.split("/")[1]
    shutil.move(kept, tmp_path / "gone")
    try:
        reached = list_numbers(out / "checkpoints")[-1]
        with SprintProcess(out, resume=True) as second:
            assert second.wait_until_resumed()[:2] == (reached, True)
            assert "starts from" not in second.printed
    finally:
        shutil.move(tmp_path / "gone", kept)


def test_sprint__takes_the_history_that_lies_in_the_default_folder(
    account: Path, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If it fits; what is named and does not fit is an error."""
    console = make_console()
    monkeypatch.chdir(tmp_path)
    assert choose_bootstrap(_load_settings(account), console).bootstrap == ""
    shutil.copytree(account / "boot" / "artefact", tmp_path / "runs" / "bootstrap" / "artefact")
    found = "runs/bootstrap/artefact"
    assert choose_bootstrap(_load_settings(account), console).bootstrap == found
    assert choose_bootstrap(_load_settings(account, "bootstrap='none'"), console).bootstrap == ""
    other = "training.gamma=0.5"
    assert choose_bootstrap(_load_settings(account, other), console).bootstrap == ""
    assert "starts without the history" in capsys.readouterr().out
    with pytest.raises(ArtifactError, match="gamma"):
        choose_bootstrap(_load_settings(account, other, f"bootstrap='{found}'"), console)
    assert choose_bootstrap(_load_settings(account, f"bootstrap='{reference}'"), console).bootstrap == reference
    with pytest.raises(UnknownReferenceError, match="no run"):
        choose_bootstrap(_load_settings(account, f"bootstrap='runs:/{'0' * 32}/bootstrap'"), console)

"""The registry as a user meets it: list, read a card, promote on evidence, roll back; no password anywhere."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy import cli
from experiments.planners import load_comparators, make_controller_spec
from experiments.promote import run_promote
from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ConfigError
from gaelp_rl.policy import Provenance, save_policy
from gaelp_rl.tracking import ModelRegistry, start_run
from tests.postgresql import PASSWORD, PrivatePostgreSQL

pytestmark = pytest.mark.integration

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> TrackingConfig:
    """Two controllers, registered without evidence: version 1 is the weaker one."""
    root = tmp_path_factory.mktemp("registry")
    tracking = TrackingConfig(
        database=root / "mlflow.db", artifact_root=root / "artifacts", system_metrics=False, model_name="bidder"
    )
    provenance = Provenance(run_id="run-1", git_commit="unknown", created_at=datetime(2026, 11, 22, tzinfo=UTC))
    with start_run(tracking, "controllers") as tracker:
        for name in ("even-split", "reference"):
            spec = make_controller_spec(name, load_comparators())
            save_policy(root / name, controller=spec, provenance=provenance)
            ModelRegistry(tracking).register(root / name, tracker.run_id, f"# {name}")
    return tracking


def _run(tracking: TrackingConfig, *arguments: str):
    settings = ("--set", f"database={tracking.database}", "--set", "model_name=bidder")
    return CliRunner().invoke(
        cli.app, [*arguments, *settings], prog_name="gaelp", env={"COLUMNS": "200", "TERM": "dumb"}
    )


def test_promote__judges_when_asked_and_refuses_who_does_not_pass(tracking: TrackingConfig) -> None:
    evaluation = EvaluationConfig(
        families=("mild",), worlds=4, seed=50_000, bootstrap_resamples=100, cross_check_worlds=0
    )
    silent = Console(file=io.StringIO(), width=120)
    refused = _run(tracking, "promote", "2")
    assert refused.exit_code == 2
    assert "was never judged" in refused.stderr
    assert "gaelp promote 2 --judge" in refused.stderr
    with pytest.raises(ConfigError, match=r"the claim rule named '[a-z-]+' and not it"):
        run_promote(tracking, 1, evaluation, console=silent)
    evidence = ModelRegistry(tracking).find_version(1).evidence
    assert evidence is not None
    assert (evidence.policy, evidence.worlds, evidence.first_seed) == ("even-split", 4, 50_000)
    winner = evidence.champion
    if winner == "reference":
        run_promote(tracking, 2, evaluation, console=silent)
        champion = ModelRegistry(tracking).find_champion()
        assert champion is not None
        assert champion.version == 2
    listed = _run(tracking, "models")
    assert f"{winner} instead" in listed.stdout
    assert "not judged" not in listed.stdout or winner != "reference"
    rows = json.loads(_run(tracking, "models", "--json").stdout)
    assert [row["version"] for row in rows] == [2, 1]
    assert rows[1]["fho_iqm"]["mild"] == evidence.fho_iqm["mild"]
    assert _run(tracking, "models", "--card", "1").stdout == "# even-split\n"
    assert _run(tracking, "rollback").exit_code == 2


def test_models__before_the_first_sprint(tmp_path: Path) -> None:
    empty = TrackingConfig(database=tmp_path / "mlflow.db")
    assert "run gaelp sprint" in _run(empty, "models").stdout.replace("`", "")


def test_sprint__on_postgresql_shows_its_password_nowhere(postgresql: PrivatePostgreSQL, tmp_path: Path) -> None:
    """Not on the console, in files, in the database, in Ray's logs, nor in the environment of Ray's processes."""
    uri = postgresql.create_database("sprint")
    out, ray_folder = tmp_path / "sprint", Path(tempfile.mkdtemp(prefix="gaelp-ray-"))
    settings = [
        f'out="{out}"',
        f'tracking.artifact_root="{tmp_path / "artifacts"}"',
        'families=["mild"]',
        "validation_worlds=8",
        "residual_scales=[0.5]",
        'evaluation.families=["mild"]',
        "evaluation.worlds=4",
        "evaluation.cross_check_worlds=0",
        "evaluation.bootstrap_resamples=100",
        "training.episodes=64",
        "training.worlds_per_env_runner=16",
        "training.batch_size=64",
        "training.warmup_steps=384",
        "training.replay_capacity=20000",
    ]
    flags = [part for setting in settings for part in ("--set", setting)]
    environment = {**os.environ, "GAELP_TRACKING_URI": uri, "RAY_ADDRESS": "", "RAY_TMPDIR": str(ray_folder)}
    with (tmp_path / "console").open("w") as console:
        sprint = subprocess.Popen(
            [sys.executable, "-m", "experiments.sprint", *flags],
            cwd=_ROOT,
            env=environment,
            stdout=console,
            stderr=console,
        )
        inherited = _watch(psutil.Process(sprint.pid))
    assert sprint.wait() == 0, (tmp_path / "console").read_text()
    assert any("raylet" in command for command in inherited), "the watch saw Ray"
    assert [command for command, has_it in inherited.items() if has_it] == []
    files = [path for root in (tmp_path, ray_folder) for path in root.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
    shutil.rmtree(ray_folder)
    with psycopg.connect(uri.replace("+psycopg", "")) as connection:
        rows = connection.execute("SELECT value FROM params UNION ALL SELECT value FROM tags").fetchall()
    assert len(rows) > 50
    assert not [row for row in rows if PASSWORD in row[0]]


def _watch(sprint: psutil.Process) -> dict[str, bool]:
    """By command of each process below the sprint while it runs: whether its environment holds the password."""
    seen: dict[str, bool] = {}
    while sprint.is_running() and sprint.status() != psutil.STATUS_ZOMBIE:
        for process in sprint.children(recursive=True):
            try:
                command, variables = " ".join(process.cmdline()), process.environ()
            except (psutil.Error, OSError):
                continue
            if command:
                seen[command] = seen.get(command, False) or PASSWORD in "".join(variables.values())
        psutil.wait_procs([sprint], timeout=0.5)
    return seen

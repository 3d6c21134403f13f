"""A sweep as a user runs it, only smaller: killed without warning, resumed, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.tracking import connect

pytestmark = pytest.mark.integration

_ROOT = Path(__file__).resolve().parents[2]
_CONFIG = """
trials = 3
training_seeds = 1
episodes = 64
rung_episodes = 32
grace_episodes = 32
confirm_seeds = 1
confirm_worlds = 8

[space]
"training.critic_curvature" = {{ log_uniform = [50.0, 800.0] }}
"training.gamma" = {{ choice = [0.0, 0.5] }}

[sprint]
families = ["campaign"]
validation_worlds = 8

[sprint.tracking]
database = "{out}/mlflow.db"
artifact_root = "{out}/artifacts"

[sprint.training]
worlds_per_env_runner = 16
warmup_steps = 384
batch_size = 64
critic_warmup_updates = 2
"""


def _start(out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.sweep", "--out", str(out), *more],
        cwd=_ROOT,
        env={**os.environ, "RAY_ADDRESS": ""},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _read_rungs(out: Path) -> list[dict[str, float]]:
    path = out / "trial" / "rungs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """A finished sweep, what it printed at last, and how many rungs it knew when it was killed."""
    out = tmp_path_factory.mktemp("sweep")
    config = out / "small.toml"
    config.write_text(_CONFIG.format(out=out))
    first = _start(out, "--config", str(config))
    deadline = time.monotonic() + 400
    while len(_read_rungs(out)) < 2 and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3.0)  # longer than Tune waits between two writes of its state
    first.send_signal(signal.SIGKILL)
    first.wait()
    known = len(_read_rungs(out))
    assert known >= 2, first.communicate()[0]
    second = _start(out, "--resume")
    printed, _ = second.communicate(timeout=500)
    assert second.returncode == 0, printed
    return out, printed, known


def test_sweep__is_finished_after_a_kill_with_every_trial_once(sweep: tuple[Path, str, int]) -> None:
    out, printed, known = sweep
    scores = json.loads((out / "scores.json").read_text())
    assert sorted(one["trial"] for one in scores["trials"]) == [0, 1, 2]
    assert not any(one["is_failed"] for one in scores["trials"])
    assert len({one["trial"] for one in _read_rungs(out)}) == 3, "a resumed sweep keeps the identities of its trials"
    assert len(_read_rungs(out)) - known <= 6
    assert "default" in printed


def test_sweep__writes_a_winner_that_a_sprint_takes(sweep: tuple[Path, str, int]) -> None:
    out, _, _ = sweep
    winner = load_config(SprintConfig, out / "winner.toml")
    best = json.loads((out / "scores.json").read_text())["trials"][0]["settings"]
    assert winner.training.critic_curvature == best["training.critic_curvature"]
    assert winner.training.episodes == SprintConfig().training.episodes
    assert (out / "effects.png").stat().st_size > 20_000


def test_sweep__is_one_parent_run_with_a_child_per_trial(sweep: tuple[Path, str, int]) -> None:
    out, _, _ = sweep
    tracking = TrackingConfig(database=out / "mlflow.db", artifact_root=out / "artifacts")
    client = connect(tracking)
    runs = client.search_runs([client.get_experiment_by_name(tracking.experiment).experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    trials = [run for run in children if run.info.run_name.startswith("trial-")]
    assert sorted(run.info.run_name for run in trials) == ["trial-000", "trial-001", "trial-002"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert "training.gamma" in trials[0].data.params

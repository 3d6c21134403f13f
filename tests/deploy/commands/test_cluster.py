"""`gaelp cluster` and `gaelp submit`, through Ray's own client, against a small Jobs API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy import cli
from deploy.cluster.folder import ClusterFolder
from deploy.cluster.status import make_report

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def start_stub(request, tmp_path):
    """The one of tests/deploy/cluster."""
    import importlib.util

    path = PROJECT / "tests" / "deploy" / "cluster" / "conftest.py"
    spec = importlib.util.spec_from_file_location("cluster_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield from module.start_stub.__wrapped__(tmp_path)


def run(*arguments: str):
    return CliRunner().invoke(cli.app, list(arguments), prog_name="gaelp", env={"COLUMNS": "200", "TERM": "dumb"})


def flag(folder: ClusterFolder) -> list[str]:
    return ["--folder", str(folder.root)]


def tiny(out: Path, episodes: int) -> list[str]:
    overrides = [
        f'out="{out}"',
        f'tracking.database="{out / "mlflow.db"}"',
        f'tracking.artifact_root="{out / "artifacts"}"',
        'families=["campaign"]',
        "validation_worlds=8",
        "residual_scales=[0.5]",
        'evaluation.families=["campaign"]',
        "evaluation.worlds=8",
        "evaluation.cross_check_worlds=0",
        "evaluation.bootstrap_resamples=100",
        f"training.episodes={episodes}",
        "training.worlds_per_env_runner=16",
        "training.warmup_steps=384",
        "training.batch_size=64",
        "training.replay_capacity=20000",
        "training.critic_warmup_updates=8",
        "training.checkpoint_every_episodes=64",
        "training.validate_every_episodes=1000000",
    ]
    return [part for override in overrides for part in ("--set", override)]


def test_status__without_a_cluster_says_how_to_start_one(tmp_path):
    result = run("cluster", "status", "--folder", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "gaelp cluster up" in result.output
    result = run("cluster", "status", "--json", "--folder", str(tmp_path / "none"))
    assert json.loads(result.output) == {"health": "down", "detail": "start it with `gaelp cluster up`"}
    assert not (tmp_path / "none").exists(), "looking writes nothing"
    result = run("cluster", "down", "--folder", str(tmp_path / "none"))
    assert (result.exit_code, "no cluster runs" in result.output) == (0, True)


def test_submit__without_a_cluster_says_how_to_start_one(tmp_path):
    result = run("submit", "--episodes", "8", "--folder", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "gaelp cluster up" in result.output


@pytest.mark.integration
def test_job__that_fails_streams_its_log_once_and_hands_its_exit_code_on(start_stub, tmp_path):
    """The resumed run has no checkpoint: exit code 2. The first connection is cut after 40 characters."""
    folder, state = start_stub()
    result = run("submit", "--resume", "latest", *tiny(tmp_path / "run", 32), *flag(folder))
    assert result.exit_code == 2, result.output
    assert "with " in result.output
    assert " MiB" in result.output
    assert "ray job submit --working-dir . -- " in result.output
    assert folder.token.read_text() not in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("gaelp: ")]
    assert result.output.count("gaelp: ") == 1, "what came before the cut is not repeated"
    assert str(tmp_path / "run") in line
    (job,) = make_report(folder)["jobs"]
    assert job["status"] == "FAILED"
    assert f"job {job['id']}: failed" in result.output
    logs = run("cluster", "logs", job["id"], "--no-follow", *flag(folder))
    assert (logs.exit_code, line in logs.output) == (0, True)
    listed = run("cluster", "status", *flag(folder))
    assert listed.exit_code == 0, listed.output
    assert job["id"] in listed.output
    assert folder.token.read_text() not in listed.output
    unknown = run("cluster", "stop", "sprint-unknown", *flag(folder))
    assert unknown.exit_code == 2
    assert "does not exist" in unknown.output
    again = run("cluster", "up", *flag(folder))
    assert "runs here already" in again.output
    assert ClusterFolder(folder.root).load().pid == state.pid
    stopped = run("cluster", "down", *flag(folder))
    assert "processes ended" in stopped.output


@pytest.mark.integration
def test_sprint__is_followed_detached_stopped_and_resumed(start_stub, tmp_path):
    """As a user does it: submit, Ctrl-C, look, stop, `submit --resume latest`, and it ends with a policy."""
    folder, _ = start_stub()
    out = tmp_path / "run"
    base = [sys.executable, "-c", "from deploy.cli import main; main()", "submit"]
    first = subprocess.Popen(
        [*base, *tiny(out, 1_000_000), *flag(folder)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_for_checkpoint(first, out / "checkpoints")
        first.send_signal(signal.SIGINT)
        printed, _ = first.communicate(timeout=60)
    finally:
        first.kill()
    assert first.returncode == 130, printed
    assert "1,000,000 episodes" in printed, "the job's own lines arrive"
    assert "goes on" in printed
    (job,) = make_report(folder)["jobs"]
    assert job["status"] == "RUNNING"
    assert f"gaelp cluster stop {job['id']}" in printed

    clash = run("submit", *tiny(out, 64), *flag(folder))
    assert clash.exit_code == 2
    assert f"job {job['id']} is writing to" in clash.output

    assert run("cluster", "stop", job["id"], *flag(folder)).exit_code == 0
    assert make_report(folder)["jobs"][0]["status"] == "STOPPED"
    logs = run("cluster", "logs", job["id"], *flag(folder))
    assert logs.exit_code == 143
    assert "stopped and saved" in logs.output

    reached = max(int(path.name.rsplit("-", 1)[1]) for path in (out / "checkpoints").glob("checkpoint-*[0-9]"))
    more = ["--episodes", str(reached + 32), "--set", f'out="{out}"']
    result = run("submit", "--resume", "latest", *more, *flag(folder))
    assert result.exit_code == 0, result.output
    assert f"resumed at {reached:,} episodes" in result.output
    assert (out / "policy" / "manifest.json").is_file()
    assert (out / "report" / "report.html").is_file()
    _check_tracked(out)


def _wait_for_checkpoint(process: subprocess.Popen, checkpoints: Path) -> None:
    deadline = time.monotonic() + 500
    while not list(checkpoints.glob("checkpoint-*[0-9]")):
        assert time.monotonic() < deadline, "no checkpoint within 500 s"
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)


def _check_tracked(out: Path) -> None:
    """Both jobs are one run of MLflow, which knows the commit though the copy has no git."""
    from gaelp_rl.config.tracking import TrackingConfig
    from gaelp_rl.tracking import connect
    from gaelp_rl.tracking.environment import load_git_state

    client = connect(TrackingConfig(database=out / "mlflow.db", artifact_root=out / "artifacts"))
    experiment = client.get_experiment_by_name("gaelp")
    runs = client.search_runs([experiment.experiment_id])
    (recorded,) = [item for item in runs if "mlflow.parentRunId" not in item.data.tags]
    assert recorded.info.status == "FINISHED"
    assert recorded.data.tags["mlflow.source.git.commit"] == load_git_state(PROJECT).commit
    assert os.environ.get("GAELP_GIT_COMMIT") is None

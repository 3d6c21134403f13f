"""A real Ray head on this machine: up, refused without the token, a sprint as a job, down."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cluster.folder import ClusterFolder
from deploy.cluster.processes import find_processes
from deploy.cluster.program import check_dashboard_packages
from deploy.cluster.status import make_report
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.policy import load_policy
from gaelp_rl.tracking import connect

pytestmark = pytest.mark.integration

_ROOT = Path(__file__).resolve().parents[2]


def _find_missing() -> str:
    try:
        check_dashboard_packages()
    except ResourceError as error:
        return str(error)
    return ""


def _run(*arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from deploy.cli import main; main()", *arguments]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY_A")}
    return subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def _make_overrides(out: Path) -> list[str]:
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
        "training.worlds_per_env_runner=16",
        "training.warmup_steps=384",
        "training.batch_size=64",
        "training.replay_capacity=20000",
        "training.critic_warmup_updates=8",
    ]
    return [part for override in overrides for part in ("--set", override)]


def _post_without_token(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(
        "POST", "/api/jobs/", body='{"entrypoint": "true"}', headers={"Content-Type": "application/json"}
    )
    return connection.getresponse().status


@pytest.mark.skipif(bool(_find_missing()), reason=_find_missing())
def test_cluster__takes_a_sprint_from_the_token_holder_and_leaves_nothing(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path / "cluster")
    flag, out = ["--folder", str(folder.root)], tmp_path / "run"
    started = _run(
        "cluster", "up", "--port", "0", "--dashboard-port", "0", "--num-cpus", "2", "--object-store", "200", *flag
    )
    state = folder.load()
    try:
        assert started.returncode == 0, started.stderr
        assert state is not None
        assert folder.token.read_text() not in started.stdout
        assert _post_without_token(state.dashboard_port) == 401
        again = _run("cluster", "up", *flag)
        assert "runs here already" in again.stdout, again.stderr

        job = _run("submit", "--episodes", "32", *_make_overrides(out), *flag)
        assert job.returncode == 0, job.stdout + job.stderr
        assert "sprint finished" in job.stdout, "the log arrives"
        report = make_report(folder)
        assert report["resources"]["CPU"][1] == 2.0
        assert [item["status"] for item in report["jobs"]] == ["SUCCEEDED"]
        assert load_policy(out / "policy").network is not None
        client = connect(TrackingConfig(database=out / "mlflow.db", artifact_root=out / "artifacts"))
        experiment = client.get_experiment_by_name("gaelp")
        runs = client.search_runs([experiment.experiment_id])
        (recorded,) = [item for item in runs if "mlflow.parentRunId" not in item.data.tags]
        assert recorded.info.status == "FINISHED"
    finally:
        stopped = _run("cluster", "down", *flag)
    assert stopped.returncode == 0, stopped.stderr
    assert not find_processes(state.cluster_id)
    assert not folder.token.exists()
    assert not state.session_folder.exists()

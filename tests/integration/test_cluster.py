"""A real Ray head on this machine: its token, its jobs, and what is left of it."""

from __future__ import annotations

import http.client
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.cluster.dashboard import Dashboard
from deploy.cluster.folder import ClusterFolder, ClusterState
from deploy.cluster.head import read_token, stop_head
from deploy.cluster.processes import find_processes
from deploy.cluster.program import check_dashboard_packages
from deploy.cluster.status import make_report
from deploy.cluster.target import find_target, load_running_cluster
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.policy import load_policy
from gaelp_rl.tracking import connect
from gaelp_rl.tracking.environment import load_git_state

_ROOT = Path(__file__).resolve().parents[2]


def _find_missing() -> str:
    try:
        check_dashboard_packages()
    except ResourceError as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.integration, pytest.mark.skipif(bool(_find_missing()), reason=_find_missing())]


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from deploy.cli import main; main()", *arguments]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY_A")}
    environment |= {"COLUMNS": "200"}
    return subprocess.Popen(
        command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _run(*arguments: str, timeout_s: float = 300.0) -> tuple[int, str]:
    """Exit code and all that it printed."""
    process = _start(*arguments)
    try:
        printed, _ = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    return process.returncode, printed


def _start_cluster(root: Path) -> tuple[ClusterFolder, ClusterState]:
    folder = ClusterFolder(root)
    sizes = ["--port", "0", "--dashboard-port", "0", "--num-cpus", "2", "--object-store", "200"]
    code, printed = _run("cluster", "up", *sizes, *_flag(folder))
    state = folder.load()
    assert code == 0, printed
    assert state is not None
    assert read_token(folder.token) not in printed
    return folder, state


def _flag(folder: ClusterFolder) -> list[str]:
    return ["--folder", str(folder.root)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterFolder]:
    """One head for all tests but the last two."""
    folder, state = _start_cluster(tmp_path_factory.mktemp("cluster") / "folder")
    yield folder
    stop_head(folder, state)


def _make_overrides(out: Path, episodes: int) -> list[str]:
    overrides = [
        f'out="{out}"',
        f'tracking.database="{out / "mlflow.db"}"',
        f'tracking.artifact_root="{out / "artifacts"}"',
        'families=["campaign"]',
        'bootstrap="none"',
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


def test_head__is_opened_by_its_token_only(cluster: ClusterFolder) -> None:
    state, token = load_running_cluster(cluster), read_token(cluster.token)
    assert len(token) == 64
    assert stat.S_IMODE(cluster.token.stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster.root.stat().st_mode) == 0o700
    assert token not in cluster.state.read_text()
    assert Dashboard(state.address, token).is_ready()
    assert not Dashboard(state.address, "another").is_ready()
    assert Dashboard(state.address, "another").refuses_strangers()
    assert _post_without_token(state.dashboard_port) == 401
    report = make_report(cluster)
    assert report["health"] == "healthy"
    assert token not in str(report)
    assert repr(find_target(None, cluster)) == f"ClusterTarget({state.address})"
    _, again = _run("cluster", "up", *_flag(cluster))
    assert "runs here already" in again
    assert load_running_cluster(cluster).pid == state.pid


def test_job__that_fails_hands_its_log_and_exit_code_on(cluster: ClusterFolder, tmp_path: Path) -> None:
    """The run that it resumes has no checkpoint: exit code 2."""
    token = read_token(cluster.token)
    code, printed = _run("submit", "--resume", "latest", *_make_overrides(tmp_path / "run", 32), *_flag(cluster))
    assert code == 2, printed
    assert " MiB" in printed
    assert "ray job submit --working-dir . -- " in printed
    line = next(line for line in printed.splitlines() if line.startswith("gaelp: "))
    assert str(tmp_path / "run") in line
    assert printed.count(line) == 1, printed
    report = make_report(cluster)
    assert report["resources"]["CPU"][1] == 2.0
    job = report["jobs"][-1]
    assert job["status"] == "FAILED"
    assert f"job {job['id']}: failed" in printed
    code, logs = _run("cluster", "logs", job["id"], "--no-follow", *_flag(cluster))
    assert (code, line in logs) == (0, True)
    code, listed = _run("cluster", "status", *_flag(cluster))
    assert code == 0
    assert job["id"] in listed
    assert token not in printed + logs + listed
    code, unknown = _run("cluster", "stop", "sprint-unknown", *_flag(cluster))
    assert (code, "does not exist" in unknown) == (2, True)


def test_sprint__is_followed_detached_stopped_and_resumed(cluster: ClusterFolder, tmp_path: Path) -> None:
    """As a user does it: submit, Ctrl-C, look, stop, `submit --resume latest`, and it ends with a policy."""
    out = tmp_path / "run"
    first = _start("submit", *_make_overrides(out, 1_000_000), *_flag(cluster))
    try:
        _wait_for_checkpoint(first, out / "checkpoints")
        first.send_signal(signal.SIGINT)
        printed, _ = first.communicate(timeout=60)
    finally:
        first.kill()
    assert first.returncode == 130, printed
    assert "1,000,000 episodes" in printed, "the job's own lines arrive"
    assert "goes on" in printed
    job = make_report(cluster)["jobs"][-1]
    assert job["status"] == "RUNNING"
    assert f"gaelp cluster stop {job['id']}" in printed

    code, clash = _run("submit", *_make_overrides(out, 64), *_flag(cluster))
    assert (code, f"job {job['id']} is writing to" in clash) == (2, True), clash

    assert _run("cluster", "stop", job["id"], *_flag(cluster))[0] == 0
    assert make_report(cluster)["jobs"][-1]["status"] == "STOPPED"
    code, logs = _run("cluster", "logs", job["id"], *_flag(cluster))
    assert (code, "stopped and saved" in logs) == (143, True), logs

    reached = max(int(path.name.rsplit("-", 1)[1]) for path in (out / "checkpoints").glob("checkpoint-*[0-9]"))
    more = ["--episodes", str(reached + 32), "--set", f'out="{out}"']
    code, printed = _run("submit", "--resume", "latest", *more, *_flag(cluster))
    assert code == 0, printed
    assert f"resumed at {reached:,} episodes" in printed
    assert "sprint finished" in printed
    assert load_policy(out / "policy").network is not None
    assert (out / "report" / "report.html").is_file()
    _check_tracked(out)


def test_down__leaves_the_jobs_logs_and_nothing_else(cluster: ClusterFolder) -> None:
    state, target = load_running_cluster(cluster), find_target(None, cluster)
    code, printed = _run("cluster", "down", *_flag(cluster))
    assert (code, "processes ended" in printed) == (0, True), printed
    assert not find_processes(state.cluster_id)
    assert not any(path.exists() for path in (cluster.token, cluster.state, state.session_folder))
    logs = [path.read_text() for path in cluster.job_logs.iterdir()]
    assert any("stopped and saved" in text for text in logs)
    assert make_report(cluster)["health"] == "down"
    assert not target.dashboard.is_ready()
    with pytest.raises(ResourceError, match="does not answer"):
        target.dashboard.fetch_jobs()
    with pytest.raises(ResourceError, match="gaelp cluster up"):
        find_target(None, cluster)


def test_head__that_hangs_or_died_is_reported_and_cleared(tmp_path: Path) -> None:
    """Clearing never deletes a folder that the head did not make, though a damaged state may name one."""
    folder, state = _start_cluster(tmp_path / "cluster")
    precious = tmp_path / "precious"
    precious.mkdir()
    try:
        dashboards = [one for one in find_processes(state.cluster_id) if "dashboard.py" in " ".join(one.cmdline())]
        for process in dashboards:
            process.suspend()
        with pytest.raises(ResourceError, match="does not answer"):
            load_running_cluster(folder)
        for process in dashboards:
            process.resume()
        os.kill(state.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(state.pid)] if psutil.pid_exists(state.pid) else [], 5)
        report = make_report(folder)
        assert report["health"] == "unhealthy"
        assert "has died" in report["detail"]
        stop_head(folder, state.model_copy(update={"session_folder": precious}))
        assert precious.is_dir()
    finally:
        stop_head(folder, state)
    assert not find_processes(state.cluster_id)


def _post_without_token(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(
        "POST", "/api/jobs/", body='{"entrypoint": "true"}', headers={"Content-Type": "application/json"}
    )
    return connection.getresponse().status


def _wait_for_checkpoint(process: subprocess.Popen[str], checkpoints: Path) -> None:
    deadline = time.monotonic() + 500
    while not list(checkpoints.glob("checkpoint-*[0-9]")):
        assert time.monotonic() < deadline, "no checkpoint within 500 s"
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)


def _check_tracked(out: Path) -> None:
    """Both jobs are one run of MLflow, which knows the commit though the copy has no git."""
    client = connect(TrackingConfig(database=out / "mlflow.db", artifact_root=out / "artifacts"))
    experiment = client.get_experiment_by_name("gaelp")
    runs = client.search_runs([experiment.experiment_id])
    (recorded,) = [item for item in runs if "mlflow.parentRunId" not in item.data.tags]
    assert recorded.info.status == "FINISHED"
    assert recorded.data.tags["mlflow.source.git.commit"] == load_git_state(_ROOT).commit

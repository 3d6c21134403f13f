"""The state of the local cluster as one report, and waiting for its jobs."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection
from typing import Any

from deploy.cluster.dashboard import Dashboard
from deploy.cluster.folder import ClusterFolder
from deploy.cluster.head import read_token
from deploy.cluster.processes import find_processes
from deploy.cluster.target import load_running_cluster
from gaelp_rl.errors import ResourceError

__all__ = ["make_report", "wait_for_jobs"]

_POLL_S = 0.5


def make_report(folder: ClusterFolder) -> dict[str, Any]:
    """What is known about the cluster in a folder.

    Args:
        folder: of the cluster.

    Returns:
        Ready for JSON, and without the token: ``health`` (healthy, unhealthy, down), ``detail`` (why), and of
        a healthy cluster also ``address``, ``token_file``, ``started_at``, ``pid``, ``processes``,
        ``resources`` (used and total by name; memory in bytes), ``jobs`` and ``commands``.

    Raises:
        ResourceError: the folder's state is damaged.
    """
    state = folder.load()
    if state is None:
        return {"health": "down", "detail": "start it with `gaelp cluster up`"}
    try:
        load_running_cluster(folder)
        dashboard = Dashboard(state.address, read_token(state.token_file))
        jobs, resources = dashboard.fetch_jobs(), dashboard.fetch_resources()
    except ResourceError as error:
        return {"health": "unhealthy", "detail": str(error)}
    variables = " ".join(f"{name}={shlex.quote(text)}" for name, text in state.environment.items())
    plain = f"{variables} ray job submit --working-dir . -- python -m experiments.sprint --set training.episodes=100000"
    return {
        "health": "healthy",
        "detail": "",
        "address": state.address,
        "port": state.port,
        "token_file": str(state.token_file),
        "started_at": state.started_at,
        "pid": state.pid,
        "processes": len(find_processes(state.cluster_id)),
        "resources": {name: list(pair) for name, pair in resources.items()},
        "jobs": [{"id": job.job_id, "status": job.status, "message": job.message, "out": job.out} for job in jobs],
        "commands": ["gaelp submit --episodes 100000", plain],
    }


def wait_for_jobs(dashboard: Dashboard, job_ids: Collection[str], seconds: float) -> set[str]:
    """Waits until jobs have ended.

    Args:
        dashboard: of their cluster.
        job_ids: the jobs.
        seconds: how long at most.

    Returns:
        Those that have not.

    Raises:
        ResourceError: the cluster does not answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = {job.job_id for job in dashboard.fetch_jobs() if not job.is_ended} & set(job_ids)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_POLL_S)

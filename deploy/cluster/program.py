"""The program that is a Ray head: its settings, its command line, its environment."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.cluster.processes import MARK
from gaelp_rl.errors import ResourceError

__all__ = [
    "STOP_WAIT_S",
    "HeadSettings",
    "check_dashboard_packages",
    "make_head_command",
    "make_head_environment",
]

MIB = 2**20
STOP_WAIT_S = 60
"""Seconds from SIGTERM to SIGKILL for a job that is stopped: a sprint ends its iteration and saves."""

_DASHBOARD_PACKAGES = ("aiohttp", "aiohttp_cors", "colorful", "grpc", "opencensus", "prometheus_client", "smart_open")
_PASSED = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_PASSED_PREFIXES = ("LC_", "PYTHON", "OMP_", "MKL_", "CUDA_", "NVIDIA_", "RAY_", "SSL_")
_OWN = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_JOB_HEADERS")


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How a head is started.

    Attributes:
        port: of the control store on 127.0.0.1; 0 chooses a free one.
        dashboard_port: of the dashboard and the Jobs API on 127.0.0.1; 0 chooses a free one.
        num_cpus: CPUs that Ray may promise; None counts the cores.
        memory_mib: memory that Ray may promise, MiB; None takes what is free.
        object_store_mib: limit of the object store, MiB.
        passed_variables: environment variables that jobs see, beside the harmless ones.
    """

    port: int = 6379
    dashboard_port: int = 8265
    num_cpus: int | None = None
    memory_mib: int | None = None
    object_store_mib: int = 512
    passed_variables: tuple[str, ...] = ()


def check_dashboard_packages() -> None:
    """Checks that Ray's dashboard, which holds the Jobs API, is installed.

    Raises:
        ResourceError: packages of ``ray[default]`` are missing.
    """
    missing = [name for name in _DASHBOARD_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ResourceError(
            f"Ray's Jobs API needs packages of ray[default] that are not installed: {', '.join(missing)}. "
            "Run `make setup` in an up-to-date checkout."
        )


def make_head_command(settings: HeadSettings, session_folder: Path) -> list[str]:
    """The program that is the head; it stays in the foreground and ends the others when it ends."""
    options = {
        "--node-ip-address": "127.0.0.1",
        "--port": settings.port,
        "--include-dashboard": "true",
        "--dashboard-host": "127.0.0.1",
        "--dashboard-port": settings.dashboard_port,
        "--dashboard-agent-listen-port": 0,
        "--metrics-export-port": 0,
        "--min-worker-port": 0,
        "--max-worker-port": 0,
        "--object-store-memory": settings.object_store_mib * MIB,
        "--temp-dir": session_folder,
    }
    if settings.num_cpus is not None:
        options["--num-cpus"] = settings.num_cpus
    if settings.memory_mib is not None:
        options["--memory"] = settings.memory_mib * MIB
    flags = [part for name, setting in options.items() for part in (name, str(setting))]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats", *flags]


def make_head_environment(
    environment: Mapping[str, str], cluster_id: str, token_file: Path, passed: Sequence[str] = ()
) -> dict[str, str]:
    """What every process of the cluster finds in its environment.

    Who holds the token runs code in these processes, so a password that lies in a shell's environment
    must not get there: harmless names pass, others only when named.

    Args:
        environment: of this process.
        cluster_id: the mark.
        token_file: absolute path of the token.
        passed: more names to pass.

    Returns:
        The variables.

    Raises:
        ResourceError: a variable to be passed is not set.
    """
    unset = [name for name in passed if name not in environment]
    if unset:
        raise ResourceError(f"--pass-env {unset[0]}: this variable is not set; export it first")
    kept = {
        name: text
        for name, text in environment.items()
        if name in {*_PASSED, *passed} or (name.startswith(_PASSED_PREFIXES) and name not in _OWN)
    }
    return kept | {
        MARK: cluster_id,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
    }

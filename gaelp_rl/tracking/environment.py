"""What a run was made with: code, interpreter, libraries and machine, as tags."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["TRACKED_PACKAGES", "GitState", "load_git_state", "make_environment_tags"]

TRACKED_PACKAGES: Sequence[str] = ("gymnasium", "mlflow", "numba", "numpy", "ray", "scipy", "torch")
"""Libraries whose versions can move a result."""

_GIT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class GitState:
    """The state of the checkout that runs.

    Attributes:
        commit: 40 hexadecimal digits, or ``unknown`` outside a checkout or before its first commit.
        branch: its name, ``HEAD`` when detached, or ``unknown``.
        is_dirty: tracked files differ from the commit.
    """

    commit: str
    branch: str
    is_dirty: bool

    @property
    def label(self) -> str:
        """The commit, with ``-dirty`` where the code was modified: what an artefact's manifest holds."""
        return f"{self.commit}-dirty" if self.is_dirty and self.commit != "unknown" else self.commit


def load_git_state(root: Path) -> GitState:
    """Asks git about a checkout; answers ``unknown`` where git or the checkout is missing."""
    commit = _run_git(root, "rev-parse", "--verify", "HEAD")
    branch = _run_git(root, "rev-parse", "--abbrev-ref", "HEAD")
    changes = _run_git(root, "status", "--porcelain", "--untracked-files=no")
    return GitState(commit=commit or "unknown", branch=branch or "unknown", is_dirty=bool(changes))


def make_environment_tags(root: Path) -> dict[str, str]:
    """Describes code, libraries and machine; holds no host name, user name or path.

    Args:
        root: the checkout.

    Returns:
        Tags by name; MLflow's own UI shows ``mlflow.source.name`` with ``mlflow.source.git.commit``.
    """
    git = load_git_state(root)
    tags = {
        "mlflow.source.name": "gaelp-rl",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git.commit,
        "git.branch": git.branch,
        "git.dirty": str(git.is_dirty).lower(),
        "python.version": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": str(os.cpu_count() or 0),
    }
    for package in TRACKED_PACKAGES:
        tags[f"version.{package}"] = _find_version(package)
    lock = root / "requirements" / "lock.txt"
    if lock.is_file():
        tags["lock.sha256"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    return tags


def _find_version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _run_git(root: Path, *arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""

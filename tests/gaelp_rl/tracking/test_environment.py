from __future__ import annotations

import getpass
import hashlib
import platform
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gaelp_rl.tracking.environment import load_git_state, make_environment_tags, make_git_environment


def run_git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-c", "init.defaultBranch=trunk", "-c", "core.hooksPath=/dev/null", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("x = 1\n")
    run_git(tmp_path, "add", "code.py")
    run_git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_load_git_state__clean_then_dirty(checkout: Path) -> None:
    commit = run_git(checkout, "rev-parse", "HEAD")
    clean = load_git_state(checkout)
    assert (clean.commit, clean.branch, clean.is_dirty, clean.label) == (commit, "trunk", False, commit)
    (checkout / "untracked.txt").write_text("results do not make the code dirty")
    assert not load_git_state(checkout).is_dirty
    (checkout / "code.py").write_text("x = 2\n")
    assert load_git_state(checkout).label == f"{commit}-dirty"


def test_load_git_state__outside_a_checkout_or_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert load_git_state(tmp_path).label == "unknown"
    monkeypatch.setenv("PATH", "")
    assert load_git_state(tmp_path).label == "unknown"


def test_git_environment__tells_a_copy_which_commit_it_is(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Ray job runs in a copy without git; a checkout's own word comes first."""
    (checkout / "code.py").write_text("x = 2\n")
    origin = load_git_state(checkout)
    copy = tmp_path_factory.mktemp("copy")
    assert load_git_state(copy).commit == "unknown"
    for name, text in make_git_environment(checkout).items():
        monkeypatch.setenv(name, text)
    assert load_git_state(copy) == origin
    assert origin.is_dirty
    monkeypatch.setenv("GAELP_GIT_COMMIT", "0" * 40)
    assert load_git_state(checkout) == origin


def test_make_environment_tags__what_can_move_a_result(checkout: Path) -> None:
    (checkout / "requirements").mkdir()
    (checkout / "requirements" / "lock.txt").write_bytes(b"numpy==1\n")
    tags = make_environment_tags(checkout)
    assert tags["mlflow.source.git.commit"] == run_git(checkout, "rev-parse", "HEAD")
    assert tags["version.numpy"] == np.__version__
    assert tags["python.version"] == platform.python_version()
    assert tags["lock.sha256"] == hashlib.sha256(b"numpy==1\n").hexdigest()


def test_make_environment_tags__tell_nothing_about_the_person(checkout: Path) -> None:
    told = " ".join(make_environment_tags(checkout).values())
    for private in (socket.gethostname(), str(checkout), str(Path.home())):
        assert private not in told
    assert getpass.getuser() not in told.split()

"""Compiled kernels follow their sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gaelp_rl.kernel_cache import compute_kernel_hash, use_kernel_cache


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for package, source in (("gaelp_rl", "@njit\ndef a(): ...\n"), ("envs", "def plain(): ...\n")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "module.py").write_text(source)
    return tmp_path


def test_kernel_hash__moves_with_any_kernel_and_with_nothing_else(project: Path) -> None:
    """numba alone would keep running the old code of an edited callee."""
    before = compute_kernel_hash(project)
    (project / "envs" / "module.py").write_text("def plain(): return 1\n")
    assert compute_kernel_hash(project) == before
    (project / "gaelp_rl" / "module.py").write_text("@njit\ndef a(): return 1\n")
    assert compute_kernel_hash(project) != before


def test_chosen_folder__is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    assert use_kernel_cache(project) == Path("elsewhere")


def test_folder__lies_in_the_checkout_under_the_hash(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    folder = use_kernel_cache(project)
    assert folder == project / ".numba_cache" / compute_kernel_hash(project)
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder)

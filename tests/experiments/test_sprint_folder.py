"""A sprint's folder: what it clears, what it keeps, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from experiments.sprint_folder import SprintFolder
from gaelp_rl.config.sprint import SETTINGS_FILE, SprintConfig
from gaelp_rl.errors import CheckpointError, ResourceError
from gaelp_rl.training.checkpoint import save_checkpoint


def test_folder__that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(ResourceError, match="--out"):
        SprintFolder(tmp_path / "run").start(SprintConfig(), Console(quiet=True))


def test_folder__of_a_new_run_has_its_settings_and_no_older_checkpoints(tmp_path: Path) -> None:
    folder = SprintFolder(tmp_path / "run")
    folder.start(SprintConfig(), Console(quiet=True))
    save_checkpoint(folder.checkpoints, 7, {"episodes": 7})
    assert folder.find_checkpoint("latest").name == "checkpoint-0000000007"
    assert folder.find_checkpoint("elsewhere") == Path("elsewhere")
    folder.start(SprintConfig(pacing_weight=0.5), Console(quiet=True))
    assert "pacing_weight = 0.5" in (folder.root / SETTINGS_FILE).read_text(encoding="utf-8")
    with pytest.raises(CheckpointError):
        folder.find_checkpoint("latest")

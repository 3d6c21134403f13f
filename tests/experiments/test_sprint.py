"""A sprint that cannot start leaves everything as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.sprint import run_sprint
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.errors import ArtifactError


def test_run_sprint__a_wrong_bootstrap_loses_no_earlier_run(tmp_path: Path) -> None:
    """A new run replaces the checkpoints of the one before; a typo in --bootstrap must not."""
    kept = tmp_path / "run" / "checkpoints" / "checkpoint-0000000064" / "manifest.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}", encoding="utf-8")
    overrides = [f'out="{tmp_path / "run"}"', f'bootstrap="{tmp_path / "nope"}"', "training.replay_capacity=4800"]
    config = load_config(SprintConfig, None, [*overrides, "training.worlds_per_env_runner=4"])
    with pytest.raises(ArtifactError, match="nope"):
        run_sprint(config)
    assert kept.is_file()
    assert not (tmp_path / "run" / "run.json").exists()

"""Many training seeds, judged as one policy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from experiments.seeds import judge_seeds, main
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig


def make_settings(out: Path) -> list[str]:
    return [
        f'tracking.database="{out / "mlflow.db"}"',
        f'tracking.artifact_root="{out / "artifacts"}"',
        'families=["campaign"]',
        "validation_worlds=8",
        "residual_scales=[0.5]",
        'evaluation.families=["campaign"]',
        "evaluation.worlds=8",
        "evaluation.bootstrap_resamples=100",
        "training.episodes=32",
        "training.worlds_per_env_runner=16",
        "training.warmup_steps=384",
        "training.batch_size=16",
        "training.hidden_sizes=[8, 8]",
        "training.replay_capacity=4800",
        "training.critic_warmup_updates=2",
        "training.env_steps_per_update=64",
    ]


@pytest.mark.integration
def test_main__trains_every_seed_once_and_judges_them_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two seeds in processes of their own; a second call finds both and only judges, to the same scores."""
    settings = make_settings(tmp_path)
    arguments = ["--seeds", "2", "--out", str(tmp_path), *(part for one in settings for part in ("--set", one))]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    row = results["families"]["campaign"]["policies"]["policy"]
    assert row["training_seeds"] == [0, 1]
    scores = np.array(row["fho_by_training_seed"])
    assert scores.shape == (2, 8)
    assert not np.array_equal(scores[0], scores[1])
    policies = [tmp_path / f"seed-{seed:02d}" / "policy" for seed in range(2)]
    written = [path.stat().st_mtime_ns for path in policies]
    config = load_config(SprintConfig, None, settings).model_copy(update={"out": tmp_path / "again"})
    judgement, _ = judge_seeds(config, policies, Console(quiet=True))
    np.testing.assert_array_equal(judgement.comparisons[0].find("policy").fho, scores)
    assert written == [path.stat().st_mtime_ns for path in policies]
    assert "better" in capsys.readouterr().out


@pytest.mark.integration
def test_main__a_seed_that_fails_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seeds", "1", "--out", str(tmp_path), "--set", "training.replay_capacity=24"]
    assert main([*arguments, "--set", "training.worlds_per_env_runner=1", "--set", "training.batch_size=100000"]) == 2
    assert "gaelp:" in capsys.readouterr().err

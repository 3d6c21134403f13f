"""The distance to hindsight, taken apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.gap import STEPS, main
from gaelp_rl.config.market import FamilyConfig


def test_steps__take_away_settings_that_exist() -> None:
    taken = [name for step in STEPS.values() for name in step]
    assert len(taken) == len(set(taken))
    assert set(taken) <= set(FamilyConfig.model_fields)


def test_main__an_easier_world_brings_the_truth_informed_controller_closer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight worlds: everything taken away is worth at least a point to whom the parameters are told."""
    out = tmp_path / "gap.json"
    main(["--families", "campaign", "--worlds", "8", "--out", str(out)])
    scores = json.loads(out.read_text(encoding="utf-8"))["campaign"]
    told = [step["reference-true"] for step in scores.values()]
    assert told[-1] > told[0] + 0.01
    assert all(step["reference-true"] > step["reference"] for step in scores.values())
    assert "without fatigue" in capsys.readouterr().out

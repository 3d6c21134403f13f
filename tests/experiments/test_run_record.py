"""A run's record: whole, or the one before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments.run_record import RunRecord
from experiments.sprint_folder import SprintRecord
from experiments.sweep_record import SweepRecord
from gaelp_rl.errors import CheckpointError


@pytest.mark.parametrize(
    "record", [SprintRecord("id", [{"episodes": 10.0, "campaign": 0.9}]), SweepRecord("id", {"trial-000": "child"})]
)
def test_record__comes_back_as_it_was(record: RunRecord, tmp_path: Path) -> None:
    record.save(tmp_path / "run.json")
    assert type(record).load(tmp_path / "run.json") == record


def test_record__that_is_damaged_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for text in (None, "{", '{"run_id": "a"}', "[]"):
        if text is not None:
            path.write_text(text)
        with pytest.raises(CheckpointError, match="without --resume"):
            SprintRecord.load(path)


def test_record__that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    SprintRecord("kept", []).save(path)

    def refuse(*arguments: object, **options: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CheckpointError, match="No space left"):
        SprintRecord("lost", []).save(path)
    assert SprintRecord.load(path).run_id == "kept"

"""What stays on disk when a sprint starts anew, goes on, or is stopped: without Ray."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from experiments import training_loop
from experiments.sprint_folder import SprintFolder, SprintRecord
from experiments.training_loop import TrainingLoop
from experiments.validation import FamilyValidation, Validation
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.training.checkpoint import list_checkpoints, save_checkpoint


class _Algorithm:
    """A trainer that only counts; ten episodes an iteration."""

    def __init__(self, episodes: int = 0, stop_at: int | None = None) -> None:
        self.episodes, self.env_steps, self.stop_at = episodes, episodes * 24, stop_at

    def train(self) -> dict[str, object]:
        self.episodes += 10
        self.env_steps += 240
        if self.episodes == self.stop_at:
            signal.raise_signal(signal.SIGTERM)
        return {}

    def save_training(self, root: Path) -> Path:
        return save_checkpoint(root, self.episodes, {"episodes": self.episodes})


class _Tracker:
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.tags: dict[str, str] = {}

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.steps.append(step)

    def set_tags(self, tags: dict[str, str]) -> None:
        self.tags |= tags


class _Validator:
    def validate(self, source: object) -> Validation:
        return Validation({"campaign": FamilyValidation(0.9, 0.01, 0.002)})


@pytest.fixture(autouse=True)
def _small_network(monkeypatch):
    layers = [(np.zeros((2, 3), np.float32), np.zeros(3, np.float32))]
    monkeypatch.setattr(training_loop, "extract_actor_weights", lambda algorithm: layers)
    monkeypatch.setattr(training_loop, "collect_training_metrics", lambda result: {"time/iteration_s": 0.5})


def _make_loop(folder: SprintFolder, record: SprintRecord, algorithm: _Algorithm, episodes: int = 100) -> TrainingLoop:
    overrides = [
        f'out="{folder.root}"',
        f"training.episodes={episodes}",
        "training.validate_every_episodes=30",
        "training.checkpoint_every_episodes=40",
        "snapshots=64",
    ]
    config = load_config(SprintConfig, None, overrides)
    return TrainingLoop(config, folder, record, algorithm, _Validator(), _Tracker(), Console(quiet=True))


def _list_numbers(paths: list[Path]) -> list[int]:
    return [int(path.stem.rsplit("-", 1)[1]) for path in sorted(paths)]


def _list_episodes(folder: SprintFolder) -> list[int]:
    return [int(point["episodes"]) for point in SprintRecord.load(folder.record).curve]


def _start(tmp_path: Path) -> SprintFolder:
    folder = SprintFolder(tmp_path / "run")
    folder.start(SprintConfig(out=folder.root), Console(quiet=True))
    return folder


def test_run__validates_on_its_beat_and_at_the_end(tmp_path):
    folder = _start(tmp_path)
    _make_loop(folder, SprintRecord("id", []), _Algorithm()).run()
    assert _list_episodes(folder) == [0, 30, 60, 90, 100]
    assert _list_numbers(list(folder.snapshots.glob("*"))) == [0, 30, 60, 90, 100]
    assert _list_numbers(list_checkpoints(folder.checkpoints)) == [80, 100]


def test_stop__saves_where_it_was_and_is_passed_on(tmp_path):
    folder = _start(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _make_loop(folder, SprintRecord("id", []), _Algorithm(stop_at=50)).run()
    assert _list_numbers(list_checkpoints(folder.checkpoints)) == [40, 50]
    assert _list_episodes(folder) == [0, 30]


def test_resume__drops_what_came_after_its_checkpoint_and_keeps_the_beat(tmp_path):
    """A kill leaves validations that are newer than the newest checkpoint."""
    folder = _start(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _make_loop(folder, SprintRecord("id", []), _Algorithm(stop_at=70)).run()
    record = SprintRecord.load(folder.record)
    assert [point["episodes"] for point in record.curve] == [0, 30, 60]
    loop = _make_loop(folder, record, _Algorithm(episodes=40))
    assert _list_numbers(list(folder.snapshots.glob("*"))) == [0, 30]
    loop.run()
    assert _list_episodes(folder) == [0, 30, 60, 90, 100]


def test_resume_of_a_finished_run__only_saves_again(tmp_path):
    folder = _start(tmp_path)
    _make_loop(folder, SprintRecord("id", []), _Algorithm()).run()
    _make_loop(folder, SprintRecord.load(folder.record), _Algorithm(episodes=100)).run()
    assert _list_episodes(folder) == [0, 30, 60, 90, 100]


def test_new_run__replaces_the_checkpoints_of_the_one_before(tmp_path):
    """An earlier run's higher numbers would otherwise push the new run's checkpoints out, and be resumed from."""
    folder = _start(tmp_path)
    _make_loop(folder, SprintRecord("first", []), _Algorithm(), episodes=1_000).run()
    folder = _start(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _make_loop(folder, SprintRecord("second", []), _Algorithm(stop_at=50)).run()
    assert folder.find_checkpoint("latest").name.endswith("-0000000050")
    assert SprintRecord.load(folder.record).run_id == "second"


def test_loop__tells_mlflow_the_newest_checkpoint(tmp_path):
    folder, tracker = _start(tmp_path), _Tracker()
    loop = _make_loop(folder, SprintRecord("id", []), _Algorithm(), episodes=40)
    loop._tracker = tracker
    loop.run()
    assert tracker.tags == {"checkpoint": "checkpoint-0000000040"}
    assert tracker.steps == sorted(tracker.steps)


class _RefusingTracker(_Tracker):
    """A store that is full from some step on, or refuses tags."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        if step > self._after:
            raise ResourceError("MLflow could not record metrics")
        super().log_metrics(metrics, step)

    def set_tags(self, tags: dict[str, str]) -> None:
        if self._after == 0:
            raise ResourceError("MLflow could not set tags")


@pytest.mark.parametrize(("after", "saved"), [(50, 60), (0, 0)])
def test_tracking_store__that_refuses_ends_the_run_with_all_of_it_saved(tmp_path, after, saved):
    """The record of a run may be cut short; the run itself is not lost with it."""
    folder = _start(tmp_path)
    loop = _make_loop(folder, SprintRecord("id", []), _Algorithm())
    loop._tracker = _RefusingTracker(after)
    with pytest.raises(ResourceError, match=r"Training is saved in .*--resume latest --out"):
        loop.run()
    assert _list_numbers(list_checkpoints(folder.checkpoints))[-1] == saved
    assert SprintRecord.load(folder.record).run_id == "id"


def test_new_run__can_be_resumed_before_its_first_beat(tmp_path):
    """A driver killed in its first minute leaves a checkpoint of episode 0 behind."""
    folder, algorithm = _start(tmp_path), _Algorithm()
    algorithm.train = lambda: pytest.fail("killed here")
    with pytest.raises(pytest.fail.Exception):
        _make_loop(folder, SprintRecord("id", []), algorithm).run()
    assert folder.find_checkpoint("latest").name == "checkpoint-0000000000"


def test_deaths_of_env_runners__are_said_once_each(tmp_path, monkeypatch, capsys):
    folder, restarts = _start(tmp_path), iter([0.0, 0.0, 1.0, 1.0, 3.0] + [3.0] * 5)

    def collect(result: object) -> dict[str, float]:
        died = next(restarts)
        return {"time/iteration_s": 0.5, "faults/env_runner_restarts": died, "faults/lost_env_steps": died * 100}

    monkeypatch.setattr(training_loop, "collect_training_metrics", collect)
    loop = _make_loop(folder, SprintRecord("id", []), _Algorithm())
    loop._console = Console(width=200)
    loop.run()
    said = [line for line in capsys.readouterr().out.splitlines() if "came back" in line]
    assert said == [
        "env runners died and came back: 1 restarts so far, 100 steps lost",
        "env runners died and came back: 3 restarts so far, 300 steps lost",
    ]

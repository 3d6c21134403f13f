"""What a sweep keeps beside Tune's own state: its runs in MLflow, and progress for whoever watches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.progress import WorkProgress
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import CheckpointError
from gaelp_rl.tracking import Tracker, resume_run

__all__ = ["SweepObserver", "SweepRecord"]

_METRICS = ("score", "score_se", "episodes")


@dataclass
class SweepRecord:
    """MLflow's identifiers of a sweep, kept as JSON.

    Attributes:
        run_id: of the parent run.
        children: of the trials' runs, by trial.
    """

    run_id: str
    children: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes it whole or not at all.

        Raises:
            CheckpointError: the disk refuses.
        """
        partial = path.with_suffix(".partial")
        try:
            partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            msg = f"{path} cannot be written ({error}): free some space, then go on with --resume"
            raise CheckpointError(msg) from error

    @staticmethod
    def load(path: Path) -> SweepRecord:
        """Reads it.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        try:
            return SweepRecord(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            msg = f"{path} cannot be read ({error}): there is no sweep to resume; start it without --resume"
            raise CheckpointError(msg) from error


class SweepObserver:
    """Writes every trial's run in MLflow, one writer in the driver, a few metrics in one batch per rung.

    Args:
        config: where to record.
        parent: run of the sweep.
        record: of the sweep; grows by the trials' runs.
        path: where the record is kept.
        progress: what is shown; counts rungs.
        total_rungs: of one trial.
        prefix: of the trials' names.
    """

    def __init__(
        self,
        config: TrackingConfig,
        parent: Tracker,
        record: SweepRecord,
        path: Path,
        progress: WorkProgress,
        total_rungs: int,
        rung_episodes: int,
        prefix: str,
    ) -> None:
        self._config, self._parent, self._record, self._path = config, parent, record, path
        self._progress, self._total_rungs, self._rung_episodes, self._prefix = (
            progress,
            total_rungs,
            rung_episodes,
            prefix,
        )
        self._rungs: dict[int, int] = {}
        self._trackers: dict[int, Tracker] = {}
        self._best = -float("inf")

    def note_result(self, number: int, settings: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
        """Records a rung."""
        tracker = self._trackers.get(number) or self._open(number, settings)
        own = {name: float(metrics[name]) for name in metrics if name in _METRICS or name.startswith("score_")}
        tracker.log_metrics({f"trial/{name}": number_ for name, number_ in own.items()}, int(metrics["episodes"]))
        tracker.flush()
        self._best = max(self._best, own["score"])
        self._show(number, int(metrics["episodes"]) // self._rung_episodes)

    def note_end(self, number: int, *, is_failed: bool) -> None:
        """Ends the trial's run."""
        tracker = self._trackers.pop(number, None)
        if tracker is not None:
            tracker.finish("FAILED" if is_failed else "FINISHED")
        self._show(number, self._total_rungs)

    def _open(self, number: int, settings: Mapping[str, Any]) -> Tracker:
        name = f"{self._prefix}-{number:03d}"
        if name in self._record.children:
            tracker = resume_run(self._config, self._record.children[name])
        else:
            tracker = self._parent.start_child(name, {"trial": str(number)})
            self._record.children[name] = tracker.run_id
            self._record.save(self._path)
        tracker.log_params(dict(settings))
        self._trackers[number] = tracker
        return tracker

    def _show(self, number: int, rungs: int) -> None:
        self._rungs[number] = max(self._rungs.get(number, 0), rungs)
        self._progress.update(sum(self._rungs.values()), f"trial {number}; best so far {self._best:+.3f} points")

"""What a sweep keeps beside Tune's own state: its runs in MLflow, and progress for whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.progress import WorkProgress
from experiments.run_record import RunRecord
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.tracking import Tracker, resume_run

__all__ = ["SweepObserver", "SweepRecord"]

_METRICS = ("score", "score_se", "episodes")


@dataclass
class SweepRecord(RunRecord):
    """MLflow's identifiers of a sweep.

    Attributes:
        children: of the trials' runs, by trial.
    """

    children: dict[str, str] = field(default_factory=dict)


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

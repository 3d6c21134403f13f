"""One run's record: parameters, metrics, files and tags, written by one writer."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import FieldError, ResourceError, UnknownReferenceError
from gaelp_rl.tracking.buffer import WriteBuffer
from gaelp_rl.tracking.connection import connect, mlflow_errors_mapped
from gaelp_rl.tracking.datasets import RecordedDataset
from gaelp_rl.tracking.params import MAX_PER_BATCH, flatten_params, make_batches
from gaelp_rl.tracking.system_metrics import RECORDED_S, SystemMonitor, SystemSampler

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["PARENT_TAG", "Tracker", "resume_run", "start_run"]

_METRIC_NAME = re.compile(r"(?=.{1,250}$)(?!\.{1,2}(/|$))[\w\-. ]+(/(?!\.{1,2}(/|$))[\w\-. ]+)*", re.ASCII)
PARENT_TAG = "mlflow.parentRunId"
"""Tag of a child run that holds the parent's identifier: for children that another process writes."""

_FINISH_PATIENCE_S = 30.0


def start_run(
    config: TrackingConfig,
    name: str,
    tags: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
) -> Tracker:
    """Starts a run in the configured experiment, and samples the machine until it ends if the settings say so.

    Args:
        config: where to record.
        name: the run's name in tables.
        tags: for example ``make_environment_tags(root)``.
        clock: seconds since the epoch.

    Returns:
        The run's writer; use it in a ``with`` statement.

    Raises:
        ResourceError: the tracking store cannot be opened or written.
    """
    tracker = _create_run(connect(config), config, name, dict(tags or {}), clock)
    tracker.start_system_metrics()
    return tracker


def resume_run(config: TrackingConfig, run_id: str, clock: Callable[[], float] = time.time) -> Tracker:
    """Continues a run that was interrupted.

    Args:
        config: where it was recorded.
        run_id: the run.
        clock: seconds since the epoch.

    Returns:
        Its writer. Metrics logged again for the same step stand beside the earlier ones; what an earlier process
        could not write any more is written now.

    Raises:
        UnknownReferenceError: there is no such run.
        ResourceError: the tracking store cannot be opened or written.
    """
    from mlflow.exceptions import MlflowException

    client = connect(config)
    with mlflow_errors_mapped(f"resume run {run_id}"):
        try:
            client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise UnknownReferenceError(
                f"no run {run_id!r} can be resumed in experiment {config.experiment!r}: the tracking store has no such "
                "run; check the tracking settings, or start a new run"
            ) from error
    tracker = Tracker(client, config, run_id, clock)
    tracker.start_system_metrics(is_resumed=True)
    return tracker


class Tracker:
    """Writes one run. One object, one process: workers hand their numbers to it.

    A store that is away for a while, such as a database that restarts, stops nobody: metrics and tags wait here.

    Attributes:
        run_id: MLflow's identifier of the run.
    """

    def __init__(self, client: MlflowClient, config: TrackingConfig, run_id: str, clock: Callable[[], float]) -> None:
        self.run_id = run_id
        self._client = client
        self._config = config
        self._clock = clock
        self._buffer = WriteBuffer(client, config, run_id, clock)
        self._monitor: SystemMonitor | None = None

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the run: FINISHED, KILLED on an interrupt, FAILED on any other error."""
        if error is None:
            self.finish("FINISHED")
            return
        try:
            self.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        except ResourceError as second:
            error.add_note(f"Besides, the run's record is incomplete: {second}")

    def start_child(self, name: str, tags: Mapping[str, str] | None = None) -> Tracker:
        """Starts a run shown under this one, such as a seed or a trial."""
        return _create_run(self._client, self._config, name, {**(tags or {}), PARENT_TAG: self.run_id}, self._clock)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Records settings: flat and cut to MLflow's limits as parameters, in full as ``params.json``.

        MLflow never changes a parameter. On a resumed run those that differ are recorded as tags
        ``resumed.<name>``, and ``params.json`` holds the present ones.

        Args:
            params: settings by name, nested as they come; JSON types, or ``str`` is taken of them.

        Raises:
            ResourceError: the store cannot be written.
        """
        from mlflow.entities import Param

        flat = flatten_params(params)
        with mlflow_errors_mapped(f"record parameters of run {self.run_id}"):
            recorded = self._client.get_run(self.run_id).data.params
            new = [Param(name, text) for name, text in flat.items() if name not in recorded]
            for batch in make_batches(new, MAX_PER_BATCH):
                self._client.log_batch(self.run_id, params=batch)
            self._client.log_text(self.run_id, json.dumps(params, indent=2, default=str) + "\n", "params.json")
        changed = {name: text for name, text in flat.items() if recorded.get(name, text) != text}
        self.set_tags({f"resumed.{name}": text for name, text in changed.items()})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags, replacing those of the same name.

        Raises:
            ResourceError: the store has been away for longer than ``outage_limit_s``.
        """
        self._buffer.add([], tags)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Records numbers at a step; buffered, and written in batches.

        Args:
            metrics: numbers by the names defined in ``docs/metrics.md``. Infinities are recorded as
                NaN, since MLflow would make them the largest finite number.
            step: what the number belongs to, such as episodes so far.

        Raises:
            FieldError: a name that MLflow does not accept.
            ResourceError: the store has been away for longer than ``outage_limit_s``.
        """
        time_ms = int(self._clock() * 1000)
        points = []
        for name, number in metrics.items():
            if not _METRIC_NAME.fullmatch(name):
                raise FieldError("metric name", name, "must be words of letters, digits, '_', '-', '.' joined by '/'")
            points.append((name, float(number) if math.isfinite(number) else math.nan, time_ms, step))
        self._buffer.add(points, {})

    def log_datasets(self, datasets: Sequence[RecordedDataset]) -> None:
        """Records what the run learns from and is judged on; the same dataset twice is one.

        Raises:
            ResourceError: the store cannot be written.
        """
        with mlflow_errors_mapped(f"record datasets of run {self.run_id}"):
            self._client.log_inputs(self.run_id, [dataset.to_input() for dataset in datasets])

    def flush(self) -> None:
        """Writes the buffered metrics and tags now; on failure they stay buffered.

        Raises:
            ResourceError: the store cannot be written.
        """
        self._buffer.flush()

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copies a file, or everything in a directory, to the run's artefacts.

        Args:
            path: a plot, a table, a report; or a directory of them.
            folder: where it goes among the artefacts; empty for the top.

        Raises:
            ResourceError: it does not exist, or the store cannot be written.
        """
        with mlflow_errors_mapped(f"copy {path} to run {self.run_id}"):
            if path.is_dir():
                self._client.log_artifacts(self.run_id, str(path), folder or None)
            else:
                self._client.log_artifact(self.run_id, str(path), folder or None)

    def finish(self, status: str = "FINISHED") -> None:
        """Writes what is buffered and ends the run with an MLflow status.

        Raises:
            ResourceError: the store does not answer, not even after some seconds; names the file that holds what was
                still to be written.
        """
        self._stop_system_metrics()
        end_ms = int(self._clock() * 1000)
        patience_s = min(_FINISH_PATIENCE_S, self._config.outage_limit_s) if status == "FINISHED" else 0.0
        self._buffer.close(lambda: self._client.set_terminated(self.run_id, status, end_time=end_ms), patience_s)

    def start_system_metrics(self, is_resumed: bool = False) -> None:
        """Samples processor, memory, disk and network into the run until it ends, if the settings say so.

        Args:
            is_resumed: whether the run was recorded before: what was left over then is written, and steps go on.

        Raises:
            ResourceError: the store cannot be read or written.
        """
        recorded_s = 0.0
        if is_resumed:
            self._buffer.load_spill()
            with mlflow_errors_mapped(f"read run {self.run_id}"):
                recorded_s = self._client.get_run(self.run_id).data.metrics.get(RECORDED_S, 0.0)
        if not self._config.system_metrics:
            return
        sampler = SystemSampler(self._config.artifact_root)
        self._monitor = SystemMonitor(self.log_metrics, sampler, self._config.system_metrics_every_s, recorded_s)
        self._monitor.start()

    def _stop_system_metrics(self) -> None:
        if self._monitor is not None:
            with suppress(ResourceError):  # its last sample waits with the rest
                self._monitor.stop()


def _create_run(
    client: MlflowClient, config: TrackingConfig, name: str, tags: dict[str, str], clock: Callable[[], float]
) -> Tracker:
    with mlflow_errors_mapped(f"start run {name!r}"):
        experiment = client.get_experiment_by_name(config.experiment)
        run = client.create_run(experiment.experiment_id, start_time=int(clock() * 1000), tags=tags, run_name=name)
    return Tracker(client, config, run.info.run_id, clock)

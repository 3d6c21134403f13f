"""One run's record: parameters, metrics, files and tags, written by one writer."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import FieldError, ResourceError, UnknownReferenceError
from gaelp_rl.tracking.connection import connect, mlflow_errors_mapped
from gaelp_rl.tracking.params import MAX_PER_BATCH, flatten_params, make_batches

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

__all__ = ["Tracker", "resume_run", "start_run"]

_METRIC_NAME = re.compile(r"(?=.{1,250}$)(?!\.{1,2}(/|$))[\w\-. ]+(/(?!\.{1,2}(/|$))[\w\-. ]+)*", re.ASCII)
_PARENT_TAG = "mlflow.parentRunId"


def start_run(
    config: TrackingConfig,
    name: str,
    tags: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
) -> Tracker:
    """Starts a run in the configured experiment.

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
    return _create_run(connect(config), config, name, dict(tags or {}), clock)


def resume_run(config: TrackingConfig, run_id: str, clock: Callable[[], float] = time.time) -> Tracker:
    """Continues a run that was interrupted.

    Args:
        config: where it was recorded.
        run_id: the run.
        clock: seconds since the epoch.

    Returns:
        Its writer. Metrics logged again for the same step stand beside the earlier ones.

    Raises:
        UnknownReferenceError: there is no such run.
        ResourceError: the tracking store cannot be opened or written.
    """
    from mlflow.exceptions import MlflowException

    client = connect(config)
    try:
        client.update_run(run_id, status="RUNNING")
    except MlflowException as error:
        raise UnknownReferenceError(
            f"no run {run_id!r} can be resumed in experiment {config.experiment!r} ({error}): "
            "check the tracking settings, or start a new run"
        ) from error
    return Tracker(client, config, run_id, clock)


class Tracker:
    """Writes one run. One object, one process, one thread: workers hand their numbers to it.

    Attributes:
        run_id: MLflow's identifier of the run.
    """

    def __init__(self, client: MlflowClient, config: TrackingConfig, run_id: str, clock: Callable[[], float]) -> None:
        self.run_id = run_id
        self._client = client
        self._config = config
        self._clock = clock
        self._buffer: list[Metric] = []
        self._buffered_since_s = math.inf

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
        return _create_run(self._client, self._config, name, {**(tags or {}), _PARENT_TAG: self.run_id}, self._clock)

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
            ResourceError: the store cannot be written.
        """
        from mlflow.entities import RunTag

        entries = [RunTag(name, text) for name, text in tags.items()]
        with mlflow_errors_mapped(f"set tags of run {self.run_id}"):
            for batch in make_batches(entries, MAX_PER_BATCH):
                self._client.log_batch(self.run_id, tags=batch)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Records numbers at a step; buffered, and written in batches.

        Args:
            metrics: numbers by the names defined in ``docs/metrics.md``. Infinities are recorded as
                NaN, since MLflow would make them the largest finite number.
            step: what the number belongs to, such as episodes so far.

        Raises:
            FieldError: a name that MLflow does not accept.
            ResourceError: the store cannot be written.
        """
        from mlflow.entities import Metric

        now_s = self._clock()
        for name, number in metrics.items():
            if not _METRIC_NAME.fullmatch(name):
                raise FieldError("metric name", name, "must be words of letters, digits, '_', '-', '.' joined by '/'")
            finite = float(number) if math.isfinite(number) else math.nan
            self._buffer.append(Metric(name, finite, int(now_s * 1000), step))
        self._buffered_since_s = min(self._buffered_since_s, now_s)
        is_late = now_s - self._buffered_since_s >= self._config.metric_delay_s
        if is_late or len(self._buffer) >= self._config.metric_batch:
            self.flush()

    def flush(self) -> None:
        """Writes the buffered metrics now; on failure they stay buffered.

        Raises:
            ResourceError: the store cannot be written.
        """
        with mlflow_errors_mapped(f"record metrics of run {self.run_id}"):
            while self._buffer:
                self._client.log_batch(self.run_id, metrics=self._buffer[: self._config.metric_batch])
                del self._buffer[: self._config.metric_batch]
        self._buffered_since_s = math.inf

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
        """Writes what is buffered and ends the run with an MLflow status."""
        self.flush()
        with mlflow_errors_mapped(f"end run {self.run_id}"):
            self._client.set_terminated(self.run_id, status, end_time=int(self._clock() * 1000))


def _create_run(
    client: MlflowClient, config: TrackingConfig, name: str, tags: dict[str, str], clock: Callable[[], float]
) -> Tracker:
    with mlflow_errors_mapped(f"start run {name!r}"):
        experiment = client.get_experiment_by_name(config.experiment)
        run = client.create_run(experiment.experiment_id, start_time=int(clock() * 1000), tags=tags, run_name=name)
    return Tracker(client, config, run.info.run_id, clock)

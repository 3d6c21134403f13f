"""What a run still has to write: kept through an outage of the store, on disk if need be."""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.tracking.connection import mlflow_errors_mapped
from gaelp_rl.tracking.params import MAX_PER_BATCH, make_batches

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Point", "WriteBuffer"]

_LOG = logging.getLogger(__name__)
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 30.0

Point = tuple[str, float, int, int]
"""A number of a metric: name, number, milliseconds since the epoch, step."""


class WriteBuffer:
    """Metrics and tags of one run on their way to the store; safe to use from several threads.

    A store that does not answer is asked again after 1, 2, 4 ... 30 seconds, while everything stays here.

    Args:
        client: opened by ``connect``.
        config: batch size, delays, and how long an outage may last.
        run_id: the run.
        clock: seconds since the epoch.
    """

    def __init__(self, client: MlflowClient, config: TrackingConfig, run_id: str, clock: Callable[[], float]) -> None:
        self._client, self._config, self._run_id, self._clock = client, config, run_id, clock
        self._lock = threading.RLock()
        self._points: list[Point] = []
        self._tags: dict[str, str] = {}
        self._waiting_since_s = math.inf
        self._failing_since_s = math.inf
        self._retry_at_s = -math.inf
        self._retry_s = _FIRST_RETRY_S

    @property
    def spill_path(self) -> Path:
        """Where what could not be written is kept for a resumed run."""
        return self._config.database.parent / "unsent" / f"{self._run_id}.json"

    def add(self, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Takes numbers and tags, and writes what is due: tags at once, numbers in batches.

        Raises:
            ResourceError: the store has been away for longer than ``outage_limit_s``.
        """
        with self._lock:
            self._points += points
            self._tags |= tags
            now_s = self._clock()
            self._waiting_since_s = min(self._waiting_since_s, now_s)
            is_late = now_s - self._waiting_since_s >= self._config.metric_delay_s
            if (self._tags or is_late or len(self._points) >= self._config.metric_batch) and now_s >= self._retry_at_s:
                self._write_patiently(now_s)

    def flush(self) -> None:
        """Writes everything now; what fails stays.

        Raises:
            ResourceError: the store cannot be written.
        """
        with self._lock:
            self._write()

    def close(self, finish: Callable[[], None], patience_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Writes everything and then ends the run, asking again for a while; saves the rest to ``spill_path``.

        Args:
            finish: ends the run in the store.
            patience_s: how long to go on asking.
            sleep: waits some seconds.

        Raises:
            ResourceError: the store cannot be written; names the file, if anything was left.
        """
        wait_s, waited_s = _FIRST_RETRY_S, 0.0
        while True:
            try:
                self.flush()
                with mlflow_errors_mapped(f"end run {self._run_id}"):
                    finish()
            except ResourceError as error:
                if waited_s >= patience_s:
                    raise ResourceError(f"{error}{self._spill()}") from error.__cause__
            else:
                return
            sleep(wait_s)
            waited_s += wait_s
            wait_s = min(2 * wait_s, _LONGEST_RETRY_S)

    def load_spill(self) -> None:
        """Takes back what an earlier process could not write, if anything."""
        if not self.spill_path.is_file():
            return
        saved = json.loads(self.spill_path.read_text(encoding="utf-8"))
        with self._lock:
            self._points = [(name, number, time_ms, step) for name, number, time_ms, step in saved["points"]]
            self._tags |= saved["tags"]
            self._write()
        self.spill_path.unlink()

    def _write_patiently(self, now_s: float) -> None:
        try:
            self._write()
        except ResourceError as error:
            if math.isinf(self._failing_since_s):
                self._failing_since_s, self._retry_s = now_s, _FIRST_RETRY_S
                _LOG.warning("%s. Nothing is lost: it is kept and written once the store answers", error)
            if now_s - self._failing_since_s >= self._config.outage_limit_s:
                raise
            self._retry_at_s = now_s + self._retry_s
            self._retry_s = min(2 * self._retry_s, _LONGEST_RETRY_S)
            return
        if math.isfinite(self._failing_since_s):
            _LOG.warning("the tracking store answers again; everything kept for it is written")
        self._failing_since_s, self._retry_at_s = math.inf, -math.inf

    def _write(self) -> None:
        from mlflow.entities import Metric, RunTag

        with mlflow_errors_mapped(f"record metrics and tags of run {self._run_id}"):
            for names in list(make_batches(list(self._tags), MAX_PER_BATCH)):
                self._client.log_batch(self._run_id, tags=[RunTag(name, self._tags[name]) for name in names])
                for name in names:
                    del self._tags[name]
            while self._points:
                batch = [Metric(*point) for point in self._points[: self._config.metric_batch]]
                self._client.log_batch(self._run_id, metrics=batch)
                del self._points[: len(batch)]
        self._waiting_since_s = math.inf

    def _spill(self) -> str:
        """Saves what is left; returns where, in words."""
        if not self._points and not self._tags:
            return ""
        left = f"{len(self._points)} numbers and {len(self._tags)} tags"
        try:
            self.spill_path.parent.mkdir(parents=True, exist_ok=True)
            self.spill_path.write_text(json.dumps({"points": self._points, "tags": self._tags}), encoding="utf-8")
        except OSError as error:
            return f". The last {left} are lost: {self.spill_path} cannot be written either ({error})"
        return f". The last {left} are kept in {self.spill_path} and sent when the run is resumed"

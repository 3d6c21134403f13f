"""Training from checkpoint to checkpoint: validations, snapshots, progress, and going on after a kill."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from experiments.candidates import ScaledNetwork, drop_snapshots_after, save_snapshot
from experiments.progress import WorkProgress
from experiments.sprint_folder import SprintFolder, SprintRecord
from experiments.stop_request import StopRequest
from experiments.validation import Validator
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.policy import MlpNetwork
from gaelp_rl.tracking import Tracker
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.checkpoint import list_checkpoints
from gaelp_rl.training.export import extract_actor_weights
from gaelp_rl.training.metrics import collect_training_metrics

__all__ = ["TrainingLoop"]


class TrainingLoop:
    """Trains an algorithm to its last episode.

    Args:
        config: all settings.
        folder: where checkpoints and snapshots go.
        record: of the run; its curve grows.
        algorithm: at its start, or with a checkpoint loaded.
        validator: scores the weights.
        tracker: takes the metrics.
        console: shows progress.
    """

    def __init__(
        self,
        config: SprintConfig,
        folder: SprintFolder,
        record: SprintRecord,
        algorithm: FastSAC,
        validator: Validator,
        tracker: Tracker,
        console: Console,
    ) -> None:
        self._config, self._folder, self._record = config, folder, record
        self._algorithm, self._validator, self._tracker, self._console = algorithm, validator, tracker, console
        training = config.training
        self._next_checkpoint = _find_next(algorithm.episodes, training.checkpoint_every_episodes)
        self._next_validation = _find_next(algorithm.episodes, training.validate_every_episodes)
        self._score = self._faults = ""
        self._restarts = 0
        record.curve = [point for point in record.curve if point["episodes"] <= algorithm.episodes]
        drop_snapshots_after(folder.snapshots, algorithm.episodes)

    def run(self) -> MlpNetwork:
        """Trains, validates and saves.

        Returns:
            The last weights.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; the iteration under way has ended and is saved.
            CheckpointError: the disk refuses; the last checkpoint is intact.
            ResourceError: the tracking store refuses; training so far is saved.
        """
        episodes = self._config.training.episodes
        self._record.save(self._folder.record)
        if not self._record.curve:
            self._validate()
        if not list_checkpoints(self._folder.checkpoints):
            self._save()  # so that a kill at any later moment leaves something to resume
        with StopRequest() as stop, WorkProgress(self._console, "training", episodes) as progress:
            progress.update(self._algorithm.episodes, self._score)
            while self._algorithm.episodes < episodes:
                steps_per_s = self._step()
                note = f"{steps_per_s:,.0f} steps/s {self._score}{self._faults}"
                progress.update(self._algorithm.episodes, note.rstrip())
                if stop.is_made:
                    self._save()
                    self._console.print(f"stopped and saved; go on with: gaelp sprint --resume latest {self._out_flag}")
                    raise KeyboardInterrupt
        if self._record.curve[-1]["episodes"] < self._algorithm.episodes:
            self._validate()
        self._save()
        return self._extract()

    @property
    def _out_flag(self) -> str:
        is_default = self._config.out == SprintConfig.model_fields["out"].default
        return "" if is_default else f"--out {self._config.out}"

    def _step(self) -> float:
        """One iteration; returns environment steps per second."""
        before = self._algorithm.env_steps
        metrics = collect_training_metrics(self._algorithm.train())
        seconds = max(metrics.get("time/iteration_s", 0.0), 1e-9)
        steps_per_s = metrics["time/env_steps_per_s"] = (self._algorithm.env_steps - before) / seconds
        metrics["system/peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
        self._note_faults(metrics)
        self._log_metrics(metrics)
        training = self._config.training
        if self._algorithm.episodes >= self._next_validation:
            self._next_validation = _find_next(self._algorithm.episodes, training.validate_every_episodes)
            self._validate()
        if self._algorithm.episodes >= self._next_checkpoint:
            self._next_checkpoint = _find_next(self._algorithm.episodes, training.checkpoint_every_episodes)
            self._save()
        return steps_per_s

    def _validate(self) -> None:
        network = self._extract()
        validation = self._validator.validate(ScaledNetwork(network, 1.0))
        episodes = self._algorithm.episodes
        point = {name: family.fho_iqm for name, family in validation.families.items()}
        self._record.curve.append({"episodes": float(episodes), **point})
        save_snapshot(self._folder.snapshots, episodes, network, self._config.snapshots)
        self._score = f"score {100 * validation.score:+.2f} points vs the reference controller (validation)"
        self._console.print(f"{episodes:>9,} episodes: {self._score}")
        self._log_metrics(validation.to_metrics())

    def _note_faults(self, metrics: Mapping[str, float]) -> None:
        """Says on the console that env runners died and came back."""
        restarts = int(metrics.get("faults/env_runner_restarts", 0.0))
        if restarts > self._restarts:
            lost = int(metrics.get("faults/lost_env_steps", 0.0))
            self._faults = f"; {restarts} env runner restarts"
            self._console.print(f"env runners died and came back: {restarts} restarts so far, {lost:,} steps lost")
        self._restarts = restarts

    def _log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Records metrics; where the store refuses, saves before stopping: progress outlives its record.

        Raises:
            ResourceError: the tracking store refused.
            CheckpointError: so did the checkpoint's disk.
        """
        try:
            self._tracker.log_metrics(metrics, self._algorithm.episodes)
        except ResourceError as error:
            path = self._write_checkpoint()
            raise self._explain(error, path) from error

    def _save(self) -> None:
        path = self._write_checkpoint()
        try:
            self._tracker.set_tags({"checkpoint": path.name})
        except ResourceError as error:
            raise self._explain(error, path) from error

    def _write_checkpoint(self) -> Path:
        # The record first: one that is ahead of its checkpoint is cut back on resuming, one that is missing is not.
        self._record.save(self._folder.record)
        return self._algorithm.save_training(self._folder.checkpoints)

    def _explain(self, error: ResourceError, path: Path) -> ResourceError:
        resume = f"gaelp sprint --resume latest {self._out_flag}".rstrip()
        return ResourceError(f"{error}. Training is saved in {path}; then go on with: {resume}")

    def _extract(self) -> MlpNetwork:
        layers = extract_actor_weights(self._algorithm)
        return MlpNetwork(tuple(weight for weight, _ in layers), tuple(bias for _, bias in layers))


def _find_next(episodes: int, every: int) -> int:
    """The first multiple of ``every`` above ``episodes``: a resumed run keeps its beat."""
    return (episodes // every + 1) * every

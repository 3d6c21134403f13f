"""One trial of a sweep: several training seeds of one setting, judged by the unshaped score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.candidates import ScaledNetwork
from experiments.validation import ValidationBaseline, Validator
from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.sweep import Setting, SweepConfig, apply_settings
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import CheckpointError
from gaelp_rl.policy import MlpNetwork
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.checkpoint import find_latest_checkpoint
from gaelp_rl.training.export import extract_actor_weights
from gaelp_rl.training.setup import make_algorithm_config

__all__ = ["SprintTrial", "TrialFactory", "make_trial_config", "summarise_gains"]


def make_trial_config(sweep: SweepConfig, settings: Mapping[str, Setting], seed: int) -> SprintConfig:
    """What one run of a trial trains with; replay holds what the trial can sample, no more.

    Raises:
        ConfigError: a setting breaks its rule.
    """
    training = sweep.sprint.training
    longest = sweep.episodes + training.worlds_per_env_runner
    own: dict[str, Setting] = {
        "training.seed": seed,
        "training.episodes": sweep.episodes,
        "training.replay_capacity": min(training.replay_capacity, longest * training.episode_steps),
        "training.checkpoints_kept": 1,
    }
    return apply_settings(sweep.sprint, {**settings, **own})


def summarise_gains(gains: Mapping[str, FloatArray]) -> dict[str, float]:
    """The score of a trial and how sure it is.

    Args:
        gains: FHO minus the reference controller's in the same worlds, float64 [seeds, worlds], by family.

    Returns:
        In points of FHO: ``score``, the mean over families, seeds and worlds; ``score_se``, its standard error
        from the spread of seeds and of worlds (seeds meet the same worlds, so that the two add); and the score of
        every family. A single seed says nothing of the spread of seeds: its error is that of the worlds alone.
    """
    by_seed = np.mean([family.mean(axis=1) for family in gains.values()], axis=0)
    variance = float(by_seed.var(ddof=1) / by_seed.size) if by_seed.size > 1 else 0.0
    for family in gains.values():
        by_world = family.mean(axis=0)
        variance += float(by_world.var(ddof=1) / by_world.size) / len(gains) ** 2
    summary = {"score": 100.0 * float(by_seed.mean()), "score_se": 100.0 * float(np.sqrt(variance))}
    return summary | {f"score_{name}": 100.0 * float(family.mean()) for name, family in gains.items()}


@dataclass(frozen=True, slots=True)
class TrialFactory:
    """Makes trials on whichever process asks.

    Attributes:
        sweep: all settings.
        baseline: the reference controller in the validation worlds, computed once for all trials.
        keeps_worlds: whether reports hold the FHO of every seed and world.
    """

    sweep: SweepConfig
    baseline: ValidationBaseline
    keeps_worlds: bool = False

    def __call__(self, settings: Mapping[str, Setting], seeds: Sequence[int]) -> SprintTrial:
        """The work of one trial."""
        return SprintTrial(self, settings, seeds)


class SprintTrial:
    """Trains all seeds of one setting side by side, rung by rung.

    Args:
        factory: what all trials share.
        settings: values by dotted path.
        seeds: training seeds.
    """

    def __init__(self, factory: TrialFactory, settings: Mapping[str, Setting], seeds: Sequence[int]) -> None:
        self._factory = factory
        configs = [make_trial_config(factory.sweep, settings, seed) for seed in seeds]
        self._validator = Validator(configs[0], factory.baseline)
        self._algorithms = [_build(config) for config in configs]
        self._episodes = 0

    def advance(self) -> dict[str, Any]:
        """Trains every seed to the next rung and scores them.

        Returns:
            ``episodes``, the entries of ``summarise_gains``, and with ``keeps_worlds`` ``fho`` by family as lists
            [seeds][worlds].
        """
        self._episodes += self._factory.sweep.rung_episodes
        scores = [self._train(algorithm) for algorithm in self._algorithms]
        fho = {name: np.stack([one[name] for one in scores]) for name in scores[0]}
        gains = {name: own - self._factory.baseline.fho[name] for name, own in fho.items()}
        report: dict[str, Any] = {"episodes": self._episodes, **summarise_gains(gains)}
        if self._factory.keeps_worlds:
            report["fho"] = {name: own.tolist() for name, own in fho.items()}
        return report

    def save(self, folder: Path) -> None:
        """Writes the training checkpoint of every seed.

        Raises:
            CheckpointError: the disk refuses.
        """
        for i, algorithm in enumerate(self._algorithms):
            algorithm.save_training(folder / f"run-{i}")

    def load(self, folder: Path) -> None:
        """Continues from ``save``, with the present settings: those that may change in place take effect.

        Raises:
            CheckpointError: a checkpoint is missing or damaged.
        """
        for i, algorithm in enumerate(self._algorithms):
            algorithm.load_training(find_latest_checkpoint(folder / f"run-{i}"))
        rung = self._factory.sweep.rung_episodes
        self._episodes = min(algorithm.episodes for algorithm in self._algorithms) // rung * rung

    def close(self) -> None:
        """Stops the algorithms."""
        for algorithm in self._algorithms:
            algorithm.stop()

    def _train(self, algorithm: FastSAC) -> dict[str, FloatArray]:
        while algorithm.episodes < self._episodes:
            algorithm.train()
        layers = extract_actor_weights(algorithm)
        network = MlpNetwork(tuple(weight for weight, _ in layers), tuple(bias for _, bias in layers))
        return self._validator.compute_fho(ScaledNetwork(network, self._factory.sweep.residual_scale))


def _build(config: SprintConfig) -> FastSAC:
    algorithm = make_algorithm_config(make_training_config(config), ENV_NAME, make_env_creator(config)).build_algo()
    if not isinstance(algorithm, FastSAC):
        msg = f"{type(algorithm).__name__} was built where FastSAC was expected"
        raise CheckpointError(msg)
    return algorithm

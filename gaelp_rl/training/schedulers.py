"""Who of many trials trains on: successive halving that survives a kill, and population based training in bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining

__all__ = ["Range", "ResumableASHA", "make_asha", "make_pbt"]

_TIME, _SCORE = "episodes", "score"


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a setting that population based training changes.

    Attributes:
        low: lowest value.
        high: highest value.
        is_logarithmic: whether a fresh draw is uniform in the logarithm.
    """

    low: float
    high: float
    is_logarithmic: bool = False


class ResumableASHA(ASHAScheduler):
    """ASHA that finds the scores of every rung again after a restart; Tune's own starts with empty rungs.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2.

    Args:
        record: JSON lines of (trial, episodes, score), appended to with every result.
        episodes: at which a trial is done.
        grace_episodes: the first rung.
        reduction_factor: between rungs, and the share of trials that passes one is its inverse.
    """

    def __init__(self, record: Path, episodes: int, grace_episodes: int, reduction_factor: float) -> None:
        super().__init__(_TIME, None, None, episodes, grace_episodes, reduction_factor)
        self._record = record
        self._is_replayed = False

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Takes a trial in, after the record of an interrupted sweep."""
        if not self._is_replayed:
            self._is_replayed = True
            for line in self._record.read_text(encoding="utf-8").splitlines() if self._record.is_file() else ():
                try:
                    seen = json.loads(line)
                except ValueError:
                    continue  # the line that the kill cut short
                self._brackets[0].on_result(SimpleNamespace(trial_id=seen["trial"]), seen[_TIME], seen[_SCORE])
        super().on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on."""
        seen = {"trial": trial.trial_id, _TIME: result[_TIME], _SCORE: result[_SCORE]}
        with self._record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(seen) + "\n")
        return str(super().on_trial_result(tune_controller, trial, result))


def make_asha(record: Path, episodes: int, grace_episodes: int, reduction_factor: float) -> ResumableASHA:
    """Asynchronous successive halving with rungs in episodes."""
    return ResumableASHA(record, episodes, grace_episodes, reduction_factor)


def make_pbt(ranges: Mapping[str, Range], interval_episodes: int) -> PopulationBasedTraining:
    """Population based training: the worst quarter copies the best and changes its settings, within their ranges.

    Source: Jaderberg et al. 2017, "Population Based Training of Neural Networks".
    """
    samplers = {
        path: (tune.loguniform if one.is_logarithmic else tune.uniform)(one.low, one.high)
        for path, one in ranges.items()
    }
    return PopulationBasedTraining(
        time_attr=_TIME,
        perturbation_interval=interval_episodes,
        hyperparam_mutations={"trial": {"settings": samplers}},
        custom_explore_fn=partial(_clip, ranges=dict(ranges)),
        log_config=False,
    )


def _clip(config: dict[str, Any], ranges: Mapping[str, Range]) -> dict[str, Any]:
    """Factors of 0.8 and 1.2 must not leave the range that was checked before the sweep."""
    settings = config["trial"]["settings"]
    for path, one in ranges.items():
        settings[path] = min(max(settings[path], one.low), one.high)
    return config

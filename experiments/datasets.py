"""Which worlds a sprint learns from, validates on and is judged on, as MLflow's dataset inputs."""

from __future__ import annotations

import hashlib
from typing import Any

from gaelp_rl.config.loading import dump_config
from gaelp_rl.config.market import FAMILIES, FamilyConfig, load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.tracking import RecordedDataset

__all__ = ["compute_family_digest", "make_sprint_datasets"]

_SOURCE_TYPE = "simulated-worlds"


def compute_family_digest(family: FamilyConfig) -> str:
    """The sha256 of a family's settings, 16 hexadecimal digits."""
    return hashlib.sha256(dump_config(family).encode()).hexdigest()[:16]


def make_sprint_datasets(config: SprintConfig) -> list[RecordedDataset]:
    """The worlds of a sprint.

    Args:
        config: all settings.

    Returns:
        One entry per family and use: ``training``, ``validation``, ``test``. World seeds of one split never meet
        those of another, whatever their numbers.
    """
    training, evaluation = config.training, config.evaluation
    seeds = {
        "run_seed": training.seed,
        "env_runners": training.env_runners,
        "worlds_per_env_runner": training.worlds_per_env_runner,
        "seeds": "drawn from (run seed, env runner, restart, step, world)",
    }
    recorded = [
        _make("training", "train", load_family(name), seeds, {"episodes": training.episodes})
        for name in config.families
    ]
    for name in config.families:
        seeds = _make_range(config.validation_seed, config.validation_worlds)
        recorded.append(
            _make("validation", "validation", load_family(name), seeds, {"worlds": config.validation_worlds})
        )
    for name in evaluation.families:
        family = load_family(name).at_fidelity(evaluation.fidelity)
        seeds = _make_range(evaluation.seed, evaluation.worlds)
        recorded.append(_make("test", "test", family, seeds, {"worlds": evaluation.worlds}))
    return recorded


def _make(
    context: str, split: str, family: FamilyConfig, seeds: dict[str, Any], profile: dict[str, Any]
) -> RecordedDataset:
    source = {
        "family": family.name,
        "family_sha256": compute_family_digest(family),
        "fidelity": family.fidelity,
        "split": split,
        **seeds,
    }
    if family.name not in FAMILIES:  # a market of the user's own, which the code version does not hold
        profile = {**profile, "family": family.model_dump(mode="json")}
    return RecordedDataset(f"{family.name}-{split}", context, _SOURCE_TYPE, source, profile)


def _make_range(first_seed: int, worlds: int) -> dict[str, Any]:
    return {"first_seed": first_seed, "last_seed": first_seed + worlds - 1}

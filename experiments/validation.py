"""The unshaped score while training: a policy against action zero in the same validation worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.judge import HeldOutWorlds, judge_pairs, load_worlds
from experiments.planners import (
    NamedPlanner,
    load_reference_params,
    make_comparator_planner,
    make_residual_planner,
)
from experiments.world_pool import WorldPool
from gaelp_rl.config.market import load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.evaluation.score import compute_world_scores
from gaelp_rl.evaluation.statistics import compute_iqm
from gaelp_rl.features.actions import ActionReach
from gaelp_rl.policy.planner import ActionSource

__all__ = ["FamilyValidation", "Validation", "ValidationBaseline", "Validator", "compute_baseline"]


@dataclass(frozen=True, slots=True)
class FamilyValidation:
    """A policy on one family's validation worlds.

    Attributes:
        fho_iqm: interquartile mean of the policy's FHO.
        difference: mean over worlds of FHO(policy) - FHO(reference).
        difference_se: its standard error.
    """

    fho_iqm: float
    difference: float
    difference_se: float


@dataclass(frozen=True, slots=True)
class Validation:
    """A policy on all families' validation worlds, by family."""

    families: dict[str, FamilyValidation]

    @property
    def score(self) -> float:
        """Mean difference to the reference controller over the families."""
        return float(np.mean([family.difference for family in self.families.values()]))

    def to_metrics(self) -> dict[str, float]:
        """The numbers under the names of docs/metrics.md."""
        metrics = {"validation/score": self.score}
        for name, family in self.families.items():
            metrics[f"validation/{name}/fho_iqm"] = family.fho_iqm
            metrics[f"validation/{name}/difference"] = family.difference
            metrics[f"validation/{name}/difference_se"] = family.difference_se
        return metrics


@dataclass(frozen=True, slots=True)
class ValidationBaseline:
    """Validation worlds and what the reference controller reaches in them: the same for every policy.

    Attributes:
        worlds: by family.
        fho: float64 [worlds] of the reference controller, by family's name.
    """

    worlds: tuple[HeldOutWorlds, ...]
    fho: Mapping[str, FloatArray]


def compute_baseline(config: SprintConfig, pool: WorldPool | None = None) -> ValidationBaseline:
    """Draws the validation worlds and runs the reference controller through them."""
    worlds = tuple(
        load_worlds(load_family(name), "validation", config.validation_seed, config.validation_worlds)
        for name in config.families
    )
    reference = make_comparator_planner("reference")
    return ValidationBaseline(worlds, _score(reference, worlds, pool))


class Validator:
    """Scores action sources on fixed validation worlds; test worlds are never touched.

    Args:
        config: of the sprint.
        baseline: of ``compute_baseline``, where it is already known.
        pool: runs families side by side; one after another, here, if not given.

    Attributes:
        reference_fho: IQM of the reference controller's FHO, by family.
    """

    def __init__(
        self, config: SprintConfig, baseline: ValidationBaseline | None = None, pool: WorldPool | None = None
    ) -> None:
        self._params = load_reference_params()
        self._reach = ActionReach(config.max_log_bid, config.max_logit)
        self._pool = pool
        self._baseline = baseline or compute_baseline(config, pool)
        self.reference_fho = {name: float(compute_iqm(fho)) for name, fho in self._baseline.fho.items()}

    def compute_fho(self, source: ActionSource) -> dict[str, FloatArray]:
        """FHO of a policy's actions, float64 [worlds] by family."""
        make = partial(make_residual_planner, "policy", source, params=self._params, reach=self._reach)
        return _score(NamedPlanner("policy", make), self._baseline.worlds, self._pool)

    def validate(self, source: ActionSource) -> Validation:
        """Runs a policy's actions through the worlds."""
        families = {}
        for name, fho in self.compute_fho(source).items():
            gain = fho - self._baseline.fho[name]
            families[name] = FamilyValidation(
                fho_iqm=float(compute_iqm(fho)),
                difference=float(gain.mean()),
                difference_se=float(gain.std(ddof=1) / np.sqrt(gain.size)),
            )
        return Validation(families)


def _score(planner: NamedPlanner, worlds: Sequence[HeldOutWorlds], pool: WorldPool | None) -> dict[str, FloatArray]:
    """FHO by world, float64 [worlds], by family."""
    outcomes = judge_pairs([(planner, own) for own in worlds], pool=pool)
    return {
        own.family.name: compute_world_scores(found, own.family.objective).fho
        for own, found in zip(worlds, outcomes, strict=True)
    }

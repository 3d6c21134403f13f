"""The unshaped score while training: a policy against action zero in the same validation worlds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.judge import HeldOutWorlds, judge, load_worlds
from experiments.planners import (
    NamedPlanner,
    load_reference_params,
    make_comparator_planner,
    make_residual_planner,
)
from gaelp_rl.config.market import FamilyConfig, load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.control.planner import Planner
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.evaluation.score import compute_world_scores
from gaelp_rl.evaluation.statistics import compute_iqm
from gaelp_rl.features.actions import ActionReach
from gaelp_rl.policy.planner import ActionSource

__all__ = ["FamilyValidation", "Validation", "Validator"]


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


class Validator:
    """Scores action sources on fixed validation worlds; test worlds are never touched.

    Attributes:
        reference_fho: IQM of the reference controller's FHO, by family.
    """

    def __init__(self, config: SprintConfig) -> None:
        self._params = load_reference_params()
        self._reach = ActionReach(config.max_log_bid, config.max_logit)
        self._worlds = [
            load_worlds(load_family(name), "validation", config.validation_seed, config.validation_worlds)
            for name in config.families
        ]
        reference = make_comparator_planner("reference")
        self._baseline = {worlds.family.name: _score(reference, worlds) for worlds in self._worlds}
        self.reference_fho = {name: float(compute_iqm(fho)) for name, fho in self._baseline.items()}

    def validate(self, source: ActionSource) -> Validation:
        """Runs a policy's actions through the worlds."""

        def make(family: FamilyConfig) -> Planner:
            return make_residual_planner("policy", source, family, self._params, self._reach)

        families = {}
        for worlds in self._worlds:
            name = worlds.family.name
            fho = _score(NamedPlanner("policy", make), worlds)
            gain = fho - self._baseline[name]
            families[name] = FamilyValidation(
                fho_iqm=float(compute_iqm(fho)),
                difference=float(gain.mean()),
                difference_se=float(gain.std(ddof=1) / np.sqrt(gain.size)),
            )
        return Validation(families)


def _score(planner: NamedPlanner, worlds: HeldOutWorlds) -> FloatArray:
    """FHO by world, float64 [worlds]."""
    (outcomes,) = judge([planner], worlds)
    return compute_world_scores(outcomes, worlds.family.objective).fho

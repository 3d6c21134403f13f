"""What one policy did in the held-out worlds of one family: the raw material of every judgement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.errors import DataError

__all__ = ["WorldOutcomes", "check_outcomes"]


@dataclass(frozen=True, slots=True)
class WorldOutcomes:
    """One policy (of one training seed) in every world of one family.

    Attributes:
        policy: the name under which tables know it; the same for all its training seeds.
        family: the family of the worlds.
        seeds: int64 [worlds]; the worlds' seeds. Policies are compared on equal seeds only.
        expected_conversions: float64 [worlds, days, channels]; clicks weighted by their true
            conversion rates, so without the noise of which click converts.
        realised_conversions: float64 [worlds, days, channels]; by day of the click.
        spend: float64 [worlds, days, channels]; currency units.
        optimum: float64 [worlds]; expected conversions of the hindsight optimum, above 0.
        plan_changes: float64 [worlds]; changes of a bid or budget per channel and day.
        mean_abs_change: float64 [worlds]; mean size of a change, as abs(ln(new / old)).
        training_seed: the seed that trained the policy; None for one that is not trained.
        knows_truth: whether the policy was given what reports do not hold. Such rows show what
            knowledge would be worth; they are never comparators.
    """

    policy: str
    family: str
    seeds: IntArray
    expected_conversions: FloatArray
    realised_conversions: FloatArray
    spend: FloatArray
    optimum: FloatArray
    plan_changes: FloatArray
    mean_abs_change: FloatArray
    training_seed: int | None = None
    knows_truth: bool = False

    @property
    def num_worlds(self) -> int:
        """How many worlds there are."""
        return int(self.seeds.size)

    @property
    def num_days(self) -> int:
        """How many days each world lived."""
        return int(self.spend.shape[1])


def check_outcomes(outcomes: WorldOutcomes) -> None:
    """Refuses outcomes that cannot be scored.

    Raises:
        DataError: shapes disagree, something is not finite or negative, or an optimum is 0.
    """
    who = f"outcomes of {outcomes.policy!r} on {outcomes.family!r}"
    shape = (outcomes.num_worlds, outcomes.num_days, NUM_CHANNELS)
    for name in ("expected_conversions", "realised_conversions", "spend"):
        _check_array(who, name, getattr(outcomes, name), shape)
    for name in ("optimum", "plan_changes", "mean_abs_change"):
        _check_array(who, name, getattr(outcomes, name), (outcomes.num_worlds,))
    if not outcomes.num_worlds or not outcomes.num_days:
        msg = f"{who}: {outcomes.num_worlds} worlds of {outcomes.num_days} days; give at least one of each"
        raise DataError(msg)
    if not (outcomes.optimum > 0).all():
        world = int(outcomes.seeds[np.argmin(outcomes.optimum)])
        msg = f"{who}: the optimum of world {world} is 0; a world in which nothing converts cannot judge a policy"
        raise DataError(msg)


def _check_array(who: str, name: str, array: FloatArray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        msg = f"{who}: {name} has shape {array.shape}; it must be {shape}"
        raise DataError(msg)
    if not (np.isfinite(array) & (array >= 0)).all():
        msg = f"{who}: {name} holds a NaN, infinite or negative number; look for the world that made it"
        raise DataError(msg)

"""Runs planners through held-out worlds: the same worlds and the same noise for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from envs.market.market import BatchedMarket
from envs.market.noise import Split, make_world_keys
from envs.market.simulation import WorldBooks, simulate_planner
from experiments.planners import NamedPlanner
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.evaluation.hindsight import compute_hindsight_optimum
from gaelp_rl.evaluation.outcomes import WorldOutcomes

__all__ = ["HeldOutWorlds", "judge", "load_worlds", "make_outcomes"]

OnHour = Callable[[int, str], None]
"""Called with the hours simulated so far, over all planners, and the planner's name."""


@dataclass(frozen=True, slots=True)
class HeldOutWorlds:
    """Worlds that policies are judged in.

    Attributes:
        family: their family.
        split: which seeds.
        first_seed: of world 0; world i has ``first_seed + i``.
        num_worlds: how many.
        curves: their true response.
        optimum: float64 [worlds]; expected conversions of the hindsight optimum.
    """

    family: FamilyConfig
    split: Split
    first_seed: int
    num_worlds: int
    curves: ResponseCurves
    optimum: FloatArray


def load_worlds(family: FamilyConfig, split: Split, first_seed: int, num_worlds: int) -> HeldOutWorlds:
    """Draws worlds and solves their hindsight optimum."""
    market = BatchedMarket(family, num_worlds)
    market.reset(make_world_keys(split, first_seed, num_worlds))
    curves = market.compute_response_curves()
    optimum = compute_hindsight_optimum(curves, family.objective).expected_conversions
    return HeldOutWorlds(family, split, first_seed, num_worlds, curves, optimum)


def judge(
    planners: Sequence[NamedPlanner], worlds: HeldOutWorlds, on_hour: OnHour | None = None
) -> list[WorldOutcomes]:
    """Runs every planner through the worlds.

    Args:
        planners: in the order of the result.
        worlds: where.
        on_hour: for progress.

    Returns:
        One entry per planner.
    """
    keys = make_world_keys(worlds.split, worlds.first_seed, worlds.num_worlds)
    hours = worlds.family.days * HOURS_PER_DAY
    outcomes = []
    for i, planner in enumerate(planners):
        on_planner = None if on_hour is None else partial(_report_hour, on_hour, i * hours, planner.name)
        books = simulate_planner(planner.make(worlds.family), worlds.family, keys, on_planner)
        outcomes.append(make_outcomes(planner, books, worlds))
    return outcomes


def _report_hour(on_hour: OnHour, before: int, name: str, hour: int, hours: int) -> None:
    del hours
    on_hour(before + hour, name)


def make_outcomes(planner: NamedPlanner, books: WorldBooks, worlds: HeldOutWorlds) -> WorldOutcomes:
    """The books of one planner as the evaluation takes them."""
    edits = books.edits.sum(axis=(1, 2))
    channel_days = books.edits.shape[1] * books.edits.shape[2]
    return WorldOutcomes(
        policy=planner.name,
        family=worlds.family.name,
        seeds=worlds.first_seed + np.arange(worlds.num_worlds),
        expected_conversions=books.expected_conversions,
        realised_conversions=books.conversions,
        spend=books.spend_micros / MICROS,
        optimum=worlds.optimum,
        plan_changes=edits / channel_days,
        mean_abs_change=books.edit_size.sum(axis=(1, 2)) / np.maximum(edits, 1),
        training_seed=planner.training_seed,
        knows_truth=planner.knows_truth,
    )

"""Runs planners through held-out worlds: the same worlds and the same noise for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.market.market import BatchedMarket
from envs.market.noise import Split, make_world_keys
from envs.market.simulation import WorldBooks
from experiments.planners import NamedPlanner
from experiments.world_pool import OnHour, Simulation, WorldPool
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.evaluation.hindsight import compute_hindsight_optimum
from gaelp_rl.evaluation.outcomes import WorldOutcomes

__all__ = ["HeldOutWorlds", "judge", "judge_pairs", "load_worlds", "make_outcomes"]


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
    planners: Sequence[NamedPlanner],
    worlds: HeldOutWorlds,
    on_hour: OnHour | None = None,
    pool: WorldPool | None = None,
) -> list[WorldOutcomes]:
    """Runs every planner through the worlds.

    Args:
        planners: in the order of the result.
        worlds: where.
        on_hour: for progress.
        pool: runs them side by side; one after another, here, if not given.

    Returns:
        One entry per planner.
    """
    return judge_pairs([(planner, worlds) for planner in planners], on_hour, pool)


def judge_pairs(
    pairs: Sequence[tuple[NamedPlanner, HeldOutWorlds]], on_hour: OnHour | None = None, pool: WorldPool | None = None
) -> list[WorldOutcomes]:
    """Runs each planner through its own worlds; otherwise as ``judge``."""
    simulations = [
        Simulation(planner, worlds.family, worlds.split, worlds.first_seed, worlds.num_worlds)
        for planner, worlds in pairs
    ]
    books = (pool or WorldPool(workers=1)).run(simulations, on_hour)
    return [make_outcomes(planner, own, worlds) for (planner, worlds), own in zip(pairs, books, strict=True)]


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

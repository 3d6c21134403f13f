"""Made-up outcomes for tests of everything that reads them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gaelp_rl.evaluation.outcomes import WorldOutcomes

_DAYS = 28


@pytest.fixture(name="make_outcomes")
def make_outcomes_fixture() -> Callable[..., WorldOutcomes]:
    """The factory below."""
    return make_outcomes


def make_outcomes(
    policy: str,
    fraction: float,
    *,
    family: str = "campaign",
    worlds: int = 40,
    training_seed: int | None = None,
    knows_truth: bool = False,
    daily_spend: float = 480.0,
    noise: float = 0.02,
    breach: bool = False,
) -> WorldOutcomes:
    """A policy that reaches about ``fraction`` of the optimum in every world, with paired noise.

    The optimum is 280 to 560 conversions over 28 days; spend is ``daily_spend`` every day, split
    40/30/20/10 over the channels; ``breach`` puts one day of world 0 one dollar above $500.
    """
    rng = np.random.default_rng([*policy.encode(), training_seed or 0])
    optimum = np.linspace(280.0, 560.0, worlds)
    world_effect = 0.03 * np.sin(np.arange(worlds))
    conversions = optimum * (fraction + world_effect + rng.normal(0.0, noise, worlds))
    split = np.array([0.4, 0.3, 0.2, 0.1])
    spend = np.tile(daily_spend * split, (worlds, _DAYS, 1))
    if breach:
        spend[0, 3] = 501.0 * split
    expected = np.tile(split / _DAYS, (worlds, _DAYS, 1)) * conversions[:, None, None]
    return WorldOutcomes(
        policy=policy,
        family=family,
        seeds=np.arange(1000, 1000 + worlds, dtype=np.int64),
        expected_conversions=expected,
        realised_conversions=rng.poisson(expected).astype(np.float64),
        spend=spend,
        optimum=optimum,
        plan_changes=np.full(worlds, 3.0),
        mean_abs_change=np.full(worlds, 0.1),
        training_seed=training_seed,
        knows_truth=knows_truth,
    )

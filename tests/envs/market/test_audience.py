"""People: who is remembered, how interests begin, and what a new creative makes them forget."""

from __future__ import annotations

import numpy as np
from scipy import stats

from envs.market.audience import INTEREST_SCALE, make_audience, refresh_creatives, start_audience
from envs.market.exogenous import CREATIVES, make_exogenous_state
from envs.market.noise import make_world_keys
from gaelp_rl.domain.channels import NUM_CHANNELS
from tests.envs.market.worlds import GOOGLE, META, MICROSOFT, TIKTOK

SIZES = np.array([np.inf, 3_000.0, 5_000.0, np.inf])


def test_make_audience__remembers_finite_audiences_only() -> None:
    audience = make_audience(2, SIZES)
    people = np.diff(audience.first_person)
    assert people[[GOOGLE, META, TIKTOK, MICROSOFT]].tolist() == [0, 3_000, 5_000, 0]
    assert audience.people.shape == (2, 8_000, 1 + CREATIVES)


def test_start_audience__interests_are_uniform_and_the_worlds_own() -> None:
    """Kolmogorov-Smirnov; worlds differ, the same key gives the same people, nobody has seen anything."""
    keys = make_world_keys("train", 0, 2)
    audience, again = make_audience(2, SIZES), make_audience(1, SIZES)
    audience.people[:] = 7
    start_audience(audience, keys)
    start_audience(again, keys[1:])
    interest = audience.people[:, :, 0] / INTEREST_SCALE
    assert all(stats.kstest(one, "uniform", args=(-1.0, 2.0)).pvalue > 1e-3 for one in interest)
    assert abs(np.corrcoef(interest)[0, 1]) < 0.05
    assert np.array_equal(audience.people[1], again.people[0])
    assert not audience.people[:, :, 1:].any()


def test_refresh_creatives__forgets_the_replaced_creative_of_its_channel_alone() -> None:
    audience, exogenous = make_audience(1, SIZES), make_exogenous_state(1)
    start_audience(audience, make_world_keys("train", 0, 1))
    refresh_creatives(audience, exogenous)
    audience.people[:, :, 1:] = 5
    refresh_creatives(audience, exogenous)
    assert (audience.people[:, :, 1:] == 5).all()
    exogenous.creative_generation[0, META, 1] += 1
    refresh_creatives(audience, exogenous)
    seen = audience.people[0, :, 1:]
    meta = slice(audience.first_person[META], audience.first_person[META + 1])
    assert (seen[meta, 1] == 0).all()
    assert int((seen == 0).sum()) == meta.stop - meta.start
    assert audience.generation_seen.shape == (1, NUM_CHANNELS, CREATIVES)

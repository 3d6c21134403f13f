"""The people behind the auctions: who may see an ad, how interested and how tired of it they are.

A feed's audience is finite and remembered person by person; a searcher comes with a fresh need each
time, so that channels without an audience size keep nobody.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.market.exogenous import CREATIVES, ExogenousState
from envs.market.noise import derive_stream, sample_from_stream
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["INTEREST_SCALE", "MAX_EXPOSURES", "AudienceState", "make_audience", "refresh_creatives", "start_audience"]

MAX_EXPOSURES = 32_000
"""Exposures are counted up to here."""

INTEREST_SCALE = 32_000.0
"""Interests are kept as whole multiples of its inverse."""

_AUDIENCE_HOUR = 1_100_000


class AudienceState(NamedTuple):
    """People of every world, channel after channel.

    ``people`` int16 [worlds, people, 1 + creatives]: interest in the advertiser's topic, -1 to 1 in
    units of 1 / ``INTEREST_SCALE``, then how often the person has seen each creative;
    ``first_person`` int64 [channels + 1]: where a channel's people begin; the last is their number;
    ``generation_seen`` int64 [worlds, channels, creatives]: which creatives the exposures are of.
    """

    people: NDArray[np.int16]
    first_person: IntArray
    generation_seen: IntArray


def make_audience(num_worlds: int, audience_size: FloatArray) -> AudienceState:
    """An audience that ``start_audience`` fills.

    Args:
        num_worlds: leading axis.
        audience_size: float64 [channels]; infinite where nobody is remembered.
    """
    sizes = np.where(np.isfinite(audience_size), audience_size, 0.0).astype(np.int64)
    people = int(sizes.sum())
    return AudienceState(
        people=np.zeros((num_worlds, people, 1 + CREATIVES), dtype=np.int16),
        first_person=np.append(0, sizes.cumsum()),
        generation_seen=np.full((num_worlds, NUM_CHANNELS, CREATIVES), -1, dtype=np.int64),
    )


@njit(cache=True)
def start_audience(audience: AudienceState, keys: NDArray[np.uint64]) -> None:
    """Draws everybody's interest, uniform on [-1, 1], and forgets all exposures."""
    for w in range(keys.shape[0]):
        stream = derive_stream(keys[w], _AUDIENCE_HOUR, 0)
        for person in range(audience.people.shape[1]):
            taste = 2.0 * sample_from_stream(stream, person) - 1.0
            audience.people[w, person, 0] = round(taste * INTEREST_SCALE)
    audience.people[:, :, 1:] = 0
    audience.generation_seen[:] = -1


@njit(cache=True)
def refresh_creatives(audience: AudienceState, exogenous: ExogenousState) -> None:
    """Nobody has seen a new creative yet."""
    for w, c, k in np.ndindex(audience.generation_seen.shape):
        generation = exogenous.creative_generation[w, c, k]
        if generation != audience.generation_seen[w, c, k]:
            audience.generation_seen[w, c, k] = generation
            for person in range(audience.first_person[c], audience.first_person[c + 1]):
                audience.people[w, person, 1 + k] = 0

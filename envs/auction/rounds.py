"""What chance decides in a batch of auctions, before anybody bids.

Every draw is a pure function of (world's stream, round, place): a batch cut in pieces is the same batch,
and bidders that differ meet the same users, rivals and clicks.

Source: AuctionGym (Apache-2.0) for the distributions and their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.config import AuctionConfig
from envs.market.noise import compute_inverse_normal, sample_from_stream, transform_to_normal

__all__ = ["Rounds", "Terms", "draw_rounds", "group_by_agent", "make_rounds", "make_streams", "make_terms"]

_STREAM_TAG = 0x41554354


class Terms(NamedTuple):
    """The rules that all auctions of an experiment share.

    Attributes:
        num_agents: advertisers in the world.
        num_participants: of them in each auction, k.
        embedding_size: dimensions of a context, d.
        embedding_std: standard deviation of each.
        max_slots: slots on offer are uniform on 1 to this.
        first_price: whether winners pay their own bid.
        floor: least bid that takes part, USD per impression.
        sell_all: whether a slot sells without a next bid.
        keep_own_price: whether a winner's record keeps the price that it paid.
    """

    num_agents: int
    num_participants: int
    embedding_size: int
    embedding_std: float
    max_slots: int
    first_price: bool
    floor: float
    sell_all: bool
    keep_own_price: bool


class Rounds(NamedTuple):
    """Chance in up to ``capacity`` auctions, k participants each; entry r * k + p is participant p of auction r.

    Attributes:
        context: float64 [d, capacity]; without the constant.
        num_slots: int64 [capacity].
        participants: int64 [capacity * k]; agents, distinct within an auction, in the order they bid.
        click_noise: float64 [capacity * max_slots], uniform; slot j is clicked if below its click probability.
        gamma_noise: float64 [capacity * k], standard normal; moves the shading factor of those who explore.
    """

    context: NDArray[np.float64]
    num_slots: NDArray[np.int64]
    participants: NDArray[np.int64]
    click_noise: NDArray[np.float64]
    gamma_noise: NDArray[np.float64]


def make_terms(config: AuctionConfig, compat: bool) -> Terms:
    """The rules of ``config``; ``compat`` keeps AuctionGym's unfilled slots and overwritten prices."""
    return Terms(
        num_agents=len(config.expand_agents()),
        num_participants=config.num_participants_per_round,
        embedding_size=config.embedding_size,
        embedding_std=config.embedding_var,
        max_slots=config.max_slots,
        first_price=config.first_price,
        floor=-np.inf if compat else 0.0,
        sell_all=not compat,
        keep_own_price=not compat,
    )


def make_rounds(terms: Terms, capacity: int) -> Rounds:
    """Room for ``capacity`` auctions, unfilled."""
    return Rounds(
        np.empty((terms.embedding_size, capacity)),
        np.empty(capacity, dtype=np.int64),
        np.empty(capacity * terms.num_participants, dtype=np.int64),
        np.empty(capacity * terms.max_slots),
        np.empty(capacity * terms.num_participants),
    )


def make_streams(seeds: Sequence[int]) -> NDArray[np.uint64]:
    """One stream of draws per world, uint64 [worlds]."""
    states = [np.random.SeedSequence((_STREAM_TAG, seed)).generate_state(1, np.uint64)[0] for seed in seeds]
    return np.array(states, dtype=np.uint64)


@njit(cache=True, inline="always")
def _draw_participants(stream: np.uint64, place: int, first: int, k: int, deck: NDArray[np.int64], out: Rounds) -> None:
    """The first k cards of a partial shuffle; the deck is put back in order, so that a round stands alone."""
    num_agents = deck.shape[0]
    for p in range(k):
        swap = p + int(sample_from_stream(stream, place + p) * (num_agents - p))
        card = deck[swap]
        deck[swap] = deck[p]
        deck[p] = card
        out.participants[first + p] = card
    for p in range(k):
        deck[p] = p
        deck[out.participants[first + p]] = out.participants[first + p]


@njit(cache=True, error_model="numpy")
def draw_rounds(
    stream: np.uint64, first_round: int, count: int, terms: Terms, with_gamma: bool, rounds: Rounds
) -> None:
    """Draws auctions ``first_round`` and the ``count - 1`` after it.

    Args:
        stream: of the world.
        first_round: 0 or above; counts over iterations and runs.
        count: at most the capacity of ``rounds``.
        terms: the rules.
        with_gamma: whether anybody explores; else ``gamma_noise`` is left alone.
        rounds: overwritten.
    """
    d, k, slots = terms.embedding_size, terms.num_participants, terms.max_slots
    draws = 1 + d + 2 * k + slots
    deck, uniforms, normals = np.arange(terms.num_agents), np.empty(count), np.empty(count)
    for j in range(d):
        for r in range(count):
            uniforms[r] = sample_from_stream(stream, (first_round + r) * draws + 1 + j)
        transform_to_normal(uniforms, normals)
        for r in range(count):
            rounds.context[j, r] = terms.embedding_std * normals[r]
    for r in range(count):
        place = (first_round + r) * draws
        rounds.num_slots[r] = 1 + int(sample_from_stream(stream, place) * slots) if slots > 1 else 1
        place += 1 + d
        _draw_participants(stream, place, r * k, k, deck, rounds)
        place += k
        for j in range(slots):
            rounds.click_noise[r * slots + j] = sample_from_stream(stream, place + j)
        if with_gamma:
            place += slots
            for p in range(k):
                rounds.gamma_noise[r * k + p] = compute_inverse_normal(sample_from_stream(stream, place + p))


@njit(cache=True)
def group_by_agent(
    participants: NDArray[np.int64], count: int, starts: NDArray[np.int64], order: NDArray[np.int64]
) -> None:
    """Sorts the first ``count`` participations by agent, in order of time within each.

    Args:
        participants: int64 [>= count]; agents.
        count: participations.
        starts: int64 [agents + 1]; overwritten: agent a's are ``order[starts[a]:starts[a + 1]]``.
        order: int64 [>= count]; overwritten with places in ``participants``.
    """
    num_agents = starts.shape[0] - 1
    starts[:] = 0
    for q in range(count):
        starts[participants[q] + 1] += 1
    for a in range(num_agents):
        starts[a + 1] += starts[a]
    for q in range(count):
        agent = participants[q]
        order[starts[agent]] = q
        starts[agent] += 1
    for a in range(num_agents, 0, -1):
        starts[a] = starts[a - 1]
    starts[0] = 0

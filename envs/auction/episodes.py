"""Episodes of one advertiser: the auctions that it is asked to join, drawn ahead of its bids.

Rivals and allocators act as in the first iteration of an AuctionGym run: within an episode only the agent
learns. All chance is drawn before the first bid, so that another bid meets the same users, rivals and clicks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.auction.catalogue import Catalogue, make_catalogue
from envs.auction.config import (
    AgentConfig,
    AuctionConfig,
    EmpiricalShadedBidderConfig,
    LogisticAllocatorConfig,
    TruthfulBidderConfig,
)
from envs.auction.learning import LogisticAllocator
from gaelp_rl.errors import ConfigError, suggest

__all__ = ["Episode", "find_agent", "sample_episode"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Episode(NamedTuple):
    """The auctions of an episode, in order. The agent is told of the first four only.

    Attributes:
        observed_context: float64 [rounds, o]; what learned allocators see of a user.
        item_value: float64 [rounds]; what a click on the offered item is worth, USD.
        estimated_ctr: float64 [rounds]; the item's click probability by the agent's allocator.
        num_slots: int64 [rounds]; slots on offer (told through the outcome only).
        true_ctr: float64 [rounds]; the offered item's click probability.
        click_noise: float64 [rounds], uniform; a won auction is clicked if this is below ``true_ctr``.
        bids: float64 [rounds, k]; rivals' bids in order of bidding, USD, 0 at the agent's place.
        place: int64 [rounds]; the agent's place among the bidders.
    """

    observed_context: FloatArray
    item_value: FloatArray
    estimated_ctr: FloatArray
    num_slots: IntArray
    true_ctr: FloatArray
    click_noise: FloatArray
    bids: FloatArray
    place: IntArray


class _Offers(NamedTuple):
    """One advertiser's offers, each float64 [rounds]."""

    item_value: FloatArray
    estimated_ctr: FloatArray
    true_ctr: FloatArray


def find_agent(config: AuctionConfig, name: str | None) -> int:
    """The place of an advertiser among all; the first for None.

    Raises:
        ConfigError: nobody has that name.
    """
    names = [agent.name for agent in config.expand_agents()]
    if name is None:
        return 0
    if name not in names:
        raise ConfigError(f"no agent is called {name!r}.{suggest(name, names)}")
    return names.index(name)


def sample_episode(
    config: AuctionConfig, agent: int, catalogue_seed: int, rounds: int, rng: np.random.Generator
) -> Episode:
    """Draws the auctions of an episode.

    Rivals are drawn evenly from all others, which is AuctionGym's law given that the agent takes part.

    Args:
        config: the experiment.
        agent: its place among ``config.expand_agents()``.
        catalogue_seed: of everybody's items.
        rounds: how many auctions.
        rng: draws all else.

    Returns:
        The episode.
    """
    agents = config.expand_agents()
    catalogue = make_catalogue(config, catalogue_seed)
    context = rng.normal(0.0, config.embedding_var, (rounds, config.embedding_size))
    observed = context[:, : config.obs_embedding_size]
    num_slots = rng.integers(1, config.max_slots + 1, rounds)
    rivals = rng.random((rounds, len(agents) - 1)).argsort(axis=1)[:, : config.num_participants_per_round - 1]
    rivals += rivals >= agent
    place = rng.integers(config.num_participants_per_round, size=rounds)
    click_noise = rng.random(rounds)
    own = _make_offers(agents[agent], catalogue, agent, context, observed, rng)
    bids = np.zeros((rounds, config.num_participants_per_round))
    for rival in np.unique(rivals):
        rows, columns = np.nonzero(rivals == rival)
        offers = _make_offers(agents[rival], catalogue, int(rival), context[rows], observed[rows], rng)
        gamma = _sample_opening_gamma(agents[rival], rows.size, rng)
        bids[rows, columns + (columns >= place[rows])] = gamma * offers.item_value * offers.estimated_ctr
    return Episode(observed, own.item_value, own.estimated_ctr, num_slots, own.true_ctr, click_noise, bids, place)


def _make_offers(
    agent: AgentConfig,
    catalogue: Catalogue,
    index: int,
    context: FloatArray,
    observed: FloatArray,
    rng: np.random.Generator,
) -> _Offers:
    owned = slice(catalogue.first_item[index], catalogue.first_item[index + 1])
    weights, item_values = catalogue.weights[0, owned], catalogue.item_values[0, owned]
    true_ctr = 1.0 / (1.0 + np.exp(-(context @ weights[:, :-1].T + weights[:, -1])))
    if isinstance(agent.allocator, LogisticAllocatorConfig):
        seen = np.hstack((observed, np.ones((observed.shape[0], 1))))
        thompson_sampling = agent.allocator.kwargs.thompson_sampling
        allocator = LogisticAllocator(agent.num_items, seen.shape[1], thompson_sampling, compat=False, rng=rng)
        item, estimated_ctr = allocator.select(seen, item_values)
    else:
        item = (true_ctr * item_values).argmax(axis=1)
        estimated_ctr = true_ctr[np.arange(item.size), item]
    return _Offers(item_values[item], estimated_ctr, true_ctr[np.arange(item.size), item])


def _sample_opening_gamma(agent: AgentConfig, count: int, rng: np.random.Generator) -> FloatArray:
    """Shading factors float64 [count] with which a bidder starts, before it has learned."""
    if isinstance(agent.bidder, TruthfulBidderConfig):
        return np.ones(count)
    settings = agent.bidder.kwargs
    gamma = rng.normal(settings.init_gamma, settings.gamma_sigma, count)
    return np.clip(gamma, 0.0, 1.0) if isinstance(agent.bidder, EmpiricalShadedBidderConfig) else gamma

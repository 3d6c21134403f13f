"""The advertisers of one world, built from their settings and ready to take part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords, Allocator, Bidder
from envs.auction.catalogue import Catalogue
from envs.auction.config import (
    AgentConfig,
    AuctionConfig,
    DoublyRobustBidderConfig,
    EmpiricalShadedBidderConfig,
    LogisticAllocatorConfig,
    PolicyLearningBidderConfig,
    TruthfulBidderConfig,
    ValueLearningBidderConfig,
)
from envs.auction.empirical import EmpiricalShadedBidder
from envs.auction.learning import DoublyRobustBidder, LogisticAllocator, PolicyLearningBidder, ValueLearningBidder
from envs.auction.truthful import OracleAllocator, TruthfulBidder

__all__ = ["Advertiser", "make_advertisers"]

_LEARNING_TAG = 0x4C4541524E


@dataclass
class Advertiser:
    """One agent while it runs.

    Attributes:
        name: of the agent.
        weights: float64 [items, d + 1]; its items' true weights, intercept last.
        item_values: float64 [items], USD per click.
        allocator: picks items.
        bidder: shades bids.
        num_seen: context dimensions that it sees, without the constant.
        keeps_records: whether anything of it learns or remembers.
        memory: records that it takes into the next iteration.
        remembered: those of the last, None at the start.
    """

    name: str
    weights: NDArray[np.float64]
    item_values: NDArray[np.float64]
    allocator: Allocator
    bidder: Bidder
    num_seen: int
    keeps_records: bool
    memory: int
    remembered: AgentRecords | None = None


def make_advertisers(
    config: AuctionConfig, catalogue: Catalogue, world: int, seed: int, run: int, compat: bool
) -> list[Advertiser]:
    """Agents as they start a run.

    Args:
        config: the experiment.
        catalogue: of all worlds.
        world: which of them.
        seed: of the world; with ``run`` and the agent's place it seeds what the agent draws.
        run: from 0.
        compat: whether AuctionGym's slips in learning are kept.
    """
    advertisers = []
    for a, agent in enumerate(config.expand_agents()):
        items = slice(catalogue.first_item[a], catalogue.first_item[a + 1])
        weights = catalogue.weights[world, items]
        entropy = np.random.SeedSequence((_LEARNING_TAG, seed), spawn_key=(run, a))
        for_allocator, for_bidder = (np.random.default_rng(child) for child in entropy.spawn(2))
        is_static = agent.is_oracle and isinstance(agent.bidder, TruthfulBidderConfig)
        advertisers.append(
            Advertiser(
                agent.name,
                weights,
                catalogue.item_values[world, items],
                _make_allocator(agent, weights, compat, for_allocator),
                _make_bidder(agent, compat, for_bidder),
                config.embedding_size if agent.is_oracle else config.obs_embedding_size,
                agent.memory > 0 or not is_static,
                agent.memory,
            )
        )
    return advertisers


def _make_allocator(
    agent: AgentConfig, weights: NDArray[np.float64], compat: bool, rng: np.random.Generator
) -> Allocator:
    if not isinstance(agent.allocator, LogisticAllocatorConfig):
        return OracleAllocator(weights)
    arguments = agent.allocator.kwargs
    return LogisticAllocator(
        agent.num_items, arguments.embedding_size + 1, arguments.thompson_sampling, compat=compat, rng=rng
    )


def _make_bidder(agent: AgentConfig, compat: bool, rng: np.random.Generator) -> Bidder:
    if isinstance(agent.bidder, TruthfulBidderConfig):
        return TruthfulBidder()
    if isinstance(agent.bidder, EmpiricalShadedBidderConfig):
        shading = agent.bidder.kwargs
        return EmpiricalShadedBidder(shading.gamma_sigma, shading.init_gamma, closed_top=not compat, rng=rng)
    return _make_learned_bidder(agent.bidder, rng)


def _make_learned_bidder(
    bidder: ValueLearningBidderConfig | PolicyLearningBidderConfig | DoublyRobustBidderConfig, rng: np.random.Generator
) -> Bidder:
    match bidder:
        case ValueLearningBidderConfig(kwargs=own):
            return ValueLearningBidder(own.gamma_sigma, own.init_gamma, own.inference, rng)
        case PolicyLearningBidderConfig(kwargs=own):
            return PolicyLearningBidder(own.gamma_sigma, own.init_gamma, own.loss, rng)
        case DoublyRobustBidderConfig(kwargs=own):
            return DoublyRobustBidder(own.gamma_sigma, own.init_gamma, rng)

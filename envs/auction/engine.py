"""The auction engine: many worlds of an AuctionGym experiment, an iteration at a time.

Agents that neither learn models nor remember run in compiled code; all others are asked by the batch.
Both kinds meet the same users, participants and clicks, and share the settlement.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.auction import fused, general
from envs.auction.advertisers import Advertiser, make_advertisers
from envs.auction.catalogue import make_catalogues
from envs.auction.config import AgentConfig, AuctionConfig, EmpiricalShadedBidderConfig, TruthfulBidderConfig
from envs.auction.empirical import compute_best_gamma
from envs.auction.rounds import make_streams, make_terms
from envs.auction.settlement import Total
from gaelp_rl.errors import ConfigError

__all__ = ["AuctionEngine"]

_NO_LOG = fused.ShadingLog(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))


class AuctionEngine:
    """Worlds that differ by their seeds: own catalogue, own auctions, own agents.

    Args:
        config: the experiment; its ``random_seed`` is not used.
        seeds: one per world, at least one, each 0 or above.
        compat: True to reproduce AuctionGym's slips: a slot is sold only if there is a next bid, a winner's
            record takes the price of a later slot, the shading grid leaves out its top, the posterior's
            logistic function is shifted. False puts them right.
        compiled: whether agents that can run in compiled code do; False asks them by the batch.

    Raises:
        ConfigError: there is no seed, or one is negative.
    """

    def __init__(self, config: AuctionConfig, seeds: Sequence[int], compat: bool, compiled: bool = True) -> None:
        if not seeds or min(seeds) < 0:
            raise ConfigError(f"seeds are {list(seeds)}; at least one is needed, each 0 or above")
        self.config = config
        self.seeds = tuple(seeds)
        self.agents = config.expand_agents()
        self.catalogue = make_catalogues(config, seeds)
        self.terms = make_terms(config, compat)
        self._compat = compat
        self._streams = make_streams(seeds)
        self._first_round = 0
        self._run = -1
        self._fused: _FusedAgents | None = None
        self._advertisers: list[list[Advertiser]] = []
        self._compiled = compiled and all(map(_is_simple, self.agents))
        self.start_run()

    def start_run(self) -> None:
        """Puts agents back to how they start; catalogues stay, and auctions go on from where they are."""
        self._run += 1
        if self._compiled:
            self._fused = _FusedAgents(self.agents, len(self.seeds))
            return
        self._advertisers = [
            make_advertisers(self.config, self.catalogue, world, seed, self._run, self._compat)
            for world, seed in enumerate(self.seeds)
        ]

    def simulate_iteration(self, learn: bool = True) -> NDArray[np.float64]:
        """Simulates ``rounds_per_iter`` auctions in every world; then agents learn.

        Args:
            learn: False leaves agents as they are, for an iteration that none follows in its run.

        Returns:
            float64 [worlds, agents, len(Total)]; what each agent's auctions came to.
        """
        totals = np.zeros((len(self.seeds), len(self.agents), len(Total)))
        if self._fused is not None:
            self._simulate_compiled(self._fused, totals, learn)
        else:
            self._simulate_general(totals, learn)
        self._first_round += self.config.rounds_per_iter
        return totals

    def _simulate_general(self, totals: NDArray[np.float64], learn: bool) -> None:
        num_rounds = self.config.rounds_per_iter
        desk = general.GeneralDesk(self.terms, min(num_rounds, general.GENERAL_CHUNK_ROUNDS))
        for world, advertisers in enumerate(self._advertisers):
            stream = self._streams[world]
            logs = general.simulate_world(stream, self._first_round, num_rounds, advertisers, desk, totals[world])
            if learn:
                general.learn_from_logs(advertisers, logs)

    def _simulate_compiled(self, agents: _FusedAgents, totals: NDArray[np.float64], learn: bool) -> None:
        num_rounds = self.config.rounds_per_iter
        desk = fused.make_desk(self.terms, fused.choose_chunk_rounds(self.terms, num_rounds))
        shading = agents.shading
        logs = learn and bool(shading.explores.any())
        log = _make_log(num_rounds * self.terms.num_participants) if logs else _NO_LOG
        worlds = np.arange(len(self.seeds))
        for batch in np.split(worlds, worlds[1:]) if logs else [worlds]:
            fused.simulate_worlds(
                batch,
                self._streams,
                self._first_round,
                num_rounds,
                self.terms,
                self.catalogue,
                shading,
                desk,
                log,
                totals,
            )
            if logs:
                _move_means(int(batch[0]), shading, log, closed_top=not self._compat)


class _FusedAgents:
    """The state of agents that run in compiled code: the means of their shading factors."""

    def __init__(self, agents: Sequence[AgentConfig], num_worlds: int) -> None:
        own = [a.bidder.kwargs if isinstance(a.bidder, EmpiricalShadedBidderConfig) else None for a in agents]
        start = np.array([1.0 if kwargs is None else kwargs.init_gamma for kwargs in own])
        self.shading = fused.Shading(
            np.array([kwargs is not None for kwargs in own]),
            np.tile(start, (num_worlds, 1)),
            np.array([0.0 if kwargs is None else kwargs.gamma_sigma for kwargs in own]),
        )


def _is_simple(agent: AgentConfig) -> bool:
    simple_bidder = isinstance(agent.bidder, TruthfulBidderConfig | EmpiricalShadedBidderConfig)
    return agent.is_oracle and simple_bidder and agent.memory == 0


def _make_log(size: int) -> fused.ShadingLog:
    return fused.ShadingLog(np.empty(size, dtype=np.int64), np.empty(size), np.empty(size))


def _move_means(world: int, shading: fused.Shading, log: fused.ShadingLog, closed_top: bool) -> None:
    for a in np.flatnonzero(shading.explores):
        own = log.agent == a
        shading.mean[world, a] = compute_best_gamma(
            log.gamma[own], log.utility[own], closed_top, float(shading.mean[world, a])
        )

"""AuctionGym itself, run from a checkout behind the same interface as the engine here.

Objects are built from checked settings; AuctionGym's own reader, which evaluates text from the config file as
Python, is not used. Its files stay as they are. With fixed policies a run repeats the program's own results digit
for digit, for both draw from the one generator in the same order; learned agents are seeded here, which the
program does not do.

Source: AuctionGym (Apache-2.0), https://github.com/amzn/auction-gym; Jeunen, Murphy, Allison, "Off-Policy
Learning-to-Bid with AuctionGym", KDD 2023.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.auction.config import ALL_AGENTS, AgentConfig, AuctionConfig
from envs.auction.metrics import MetricRow
from envs.auction.upstream_modules import UpstreamModules
from gaelp_rl.errors import DataError

__all__ = ["UPSTREAM_PATH_VARIABLE", "UpstreamAuctionGym", "measure_upstream_rate"]

UPSTREAM_PATH_VARIABLE = "GAELP_AUCTIONGYM_PATH"
"""The environment variable that names a checkout of AuctionGym."""

_VALUE_LOCATION, _VALUE_SCALE = 0.1, 0.2
_INTERCEPT = -3.0
_WARM_UP_AUCTIONS = 50


class _Catalogues(NamedTuple):
    """By agent name: item vectors float64 [items, d + 1], the intercept last, and item values float64 [items]."""

    items: dict[str, NDArray[np.float64]]
    item_values: dict[str, NDArray[np.float64]]


class UpstreamAuctionGym:
    """Runs a checkout of AuctionGym.

    Args:
        path: the checkout's folder.

    Raises:
        ConfigError: the folder is no checkout of AuctionGym.
    """

    def __init__(self, path: Path) -> None:
        self._modules = UpstreamModules(path)

    def run(self, config: AuctionConfig, config_name: str, seeds: Sequence[int]) -> list[MetricRow]:
        """Runs a config once per seed, in the order of ``seeds``.

        Args:
            config: the experiment; its ``random_seed`` is replaced by each seed in turn.
            config_name: goes into the rows.
            seeds: of the catalogue, the auctions and the learned agents.

        Returns:
            Every metric of every agent and iteration, and totals; iterations count on across runs.

        Raises:
            DataError: AuctionGym cannot go on: an agent took part in no auction, or its training diverged.
            ResourceError: a package that AuctionGym imports is not installed.
        """
        return [row for seed in seeds for row in self.run_seed(config, config_name, seed)]

    def run_seed(self, config: AuctionConfig, config_name: str, seed: int) -> Iterator[MetricRow]:
        """The rows of one seed, iteration by iteration as they are made; see ``run``."""
        framework = self._modules.load_framework()
        with framework.random.fork_rng(devices=[]):
            framework.manual_seed(seed)
            rng = np.random.default_rng(seed)
            catalogues = _draw_catalogues(config, rng)
            for run in range(config.num_runs):
                auction = self._make_auction(config, catalogues, rng)
                for iteration in range(config.num_iter):
                    for _ in range(config.rounds_per_iter):
                        auction.simulate_opportunity()
                    if iteration + 1 < config.num_iter:
                        _update_agents(auction.agents, iteration)
                    figures = _compute_metrics(auction)
                    count = run * config.num_iter + iteration
                    yield from (MetricRow(config_name, seed, count, *figure) for figure in figures)
                    _clear(auction)

    def measure_rate(self, config: AuctionConfig, rounds: int, seed: int = 0) -> float:
        """Auctions per CPU second while simulating, agents as they start; no learning is timed."""
        rng = np.random.default_rng(seed)
        auction = self._make_auction(config, _draw_catalogues(config, rng), rng)
        for _ in range(_WARM_UP_AUCTIONS):
            auction.simulate_opportunity()
        started = time.process_time()
        for _ in range(rounds):
            auction.simulate_opportunity()
        return rounds / (time.process_time() - started)

    def _make_auction(self, config: AuctionConfig, catalogues: _Catalogues, rng: np.random.Generator) -> Any:
        agents = [self._make_agent(agent, catalogues, rng) for agent in config.expand_agents()]
        return self._modules.load("Auction").Auction(
            rng,
            getattr(self._modules.load("AuctionAllocation"), config.allocation)(),
            agents,
            catalogues.items,
            catalogues.item_values,
            config.max_slots,
            config.embedding_size,
            config.embedding_var,
            config.obs_embedding_size,
            config.num_participants_per_round,
        )

    def _make_agent(self, agent: AgentConfig, catalogues: _Catalogues, rng: np.random.Generator) -> Any:
        make_allocator = getattr(self._modules.load("BidderAllocation"), agent.allocator.type)
        allocator = make_allocator(rng=rng, **agent.allocator.kwargs.model_dump())
        if agent.is_oracle:
            allocator.update_item_embeddings(catalogues.items[agent.name])
        make_bidder = getattr(self._modules.load("Bidder"), agent.bidder.type)
        return self._modules.load("Agent").Agent(
            rng=rng,
            name=agent.name,
            num_items=agent.num_items,
            item_values=catalogues.item_values[agent.name],
            allocator=allocator,
            bidder=make_bidder(rng=rng, **agent.bidder.kwargs.model_dump()),
            memory=agent.memory,
        )


def measure_upstream_rate(path: Path, config: AuctionConfig, rounds: int) -> float:
    """Auctions per CPU second of a checkout of AuctionGym, without learning.

    Args:
        path: the checkout's folder.
        config: the experiment whose auctions are held.
        rounds: how many auctions are timed, after a few that are not.
    """
    return UpstreamAuctionGym(path).measure_rate(config, rounds)


def _draw_catalogues(config: AuctionConfig, rng: np.random.Generator) -> _Catalogues:
    """Draws all vectors, then all item values, then all intercepts, and leaves the generator there."""
    agents = config.expand_agents()
    shapes = [(agent.num_items, config.embedding_size) for agent in agents]
    vectors = [rng.normal(0.0, config.embedding_var, size=shape) for shape in shapes]
    item_values = [rng.lognormal(_VALUE_LOCATION, _VALUE_SCALE, size=agent.num_items) for agent in agents]
    items = [np.hstack((one, _INTERCEPT - rng.random((one.shape[0], 1)))) for one in vectors]
    names = [agent.name for agent in agents]
    return _Catalogues(dict(zip(names, items, strict=True)), dict(zip(names, item_values, strict=True)))


def _update_agents(agents: Iterable[Any], iteration: int) -> None:
    for agent in agents:
        if not agent.logs:
            msg = (
                f"agent {agent.name!r} took part in no auction of iteration {iteration}, where AuctionGym fails: "
                "raise rounds_per_iter or num_participants_per_round"
            )
            raise DataError(msg)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                agent.update(iteration)
        except SystemExit as error:
            msg = f"AuctionGym ends its program: the training of agent {agent.name!r} diverged (a loss is NaN)"
            raise DataError(msg) from error


def _compute_metrics(auction: Any) -> Iterator[tuple[str, str, float]]:
    """Agent, metric and figure of the iteration that the agents' logs hold."""
    for agent in auction.agents:
        for metric, figure in {**_compute_own_metrics(agent), **_compute_log_sums(agent)}.items():
            yield agent.name, metric, float(figure)
    won = [record for agent in auction.agents for record in agent.logs if record.won]
    totals = {
        "auction_revenue": auction.revenue,
        "social_surplus": sum(agent.net_utility for agent in auction.agents),
        "social_welfare": sum(agent.gross_utility for agent in auction.agents),
        "x_wins": len(won),
        "x_clicks": sum(record.outcome for record in won),
    }
    for metric, figure in totals.items():
        yield ALL_AGENTS, metric, float(figure)


def _compute_own_metrics(agent: Any) -> dict[str, float]:
    """What AuctionGym reports of an agent."""
    figures = {
        "net_utility": agent.net_utility,
        "gross_utility": agent.gross_utility,
        "allocation_regret": agent.get_allocation_regret(),
        "estimation_regret": agent.get_estimation_regret(),
        "overbid_regret": agent.get_overbid_regret(),
        "underbid_regret": agent.get_underbid_regret(),
        "ctr_rmse": agent.get_CTR_RMSE() if agent.logs else float("nan"),
        "ctr_bias": agent.get_CTR_bias() if any(record.won for record in agent.logs) else float("nan"),
        "best_expected_value": _compute_mean([record.best_expected_value for record in agent.logs]),
    }
    if not agent.bidder.truthful:
        figures["gamma"] = _compute_mean([_to_float(gamma) for gamma in agent.bidder.gammas])
    return figures


def _compute_log_sums(agent: Any) -> dict[str, float]:
    """What its logs hold besides."""
    won = [record for record in agent.logs if record.won]
    return {
        "x_participations": len(agent.logs),
        "x_wins": len(won),
        "x_clicks": sum(record.outcome for record in won),
        "x_spend": agent.gross_utility - agent.net_utility,
        "x_mean_bid": _compute_mean([record.bid for record in agent.logs]),
        "x_mean_true_ctr": _compute_mean([record.true_CTR for record in agent.logs]),
        "x_mean_value": _compute_mean([record.value for record in agent.logs]),
    }


def _compute_mean(figures: Sequence[float]) -> float:
    return float(np.mean(figures)) if figures else float("nan")


def _clear(auction: Any) -> None:
    for agent in auction.agents:
        agent.clear_utility()
        agent.clear_logs()
    auction.clear_revenue()


def _to_float(figure: Any) -> float:
    """A number that may be a tensor with a gradient."""
    return float(figure.item() if hasattr(figure, "item") else figure)

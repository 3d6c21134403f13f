"""Every metric of an iteration, by AuctionGym's definitions, under the names of the reference tables.

Utilities, regrets and revenue are sums over the iteration's auctions, USD. Names that start with ``x_`` are
not reported by AuctionGym: they are counts and means over an agent's records.

Source: AuctionGym (Apache-2.0), its metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.auction.config import ALL_AGENTS, AgentConfig, TruthfulBidderConfig
from envs.auction.settlement import Total

__all__ = ["MetricRow", "compute_agent_metrics", "compute_overall_metrics", "iterate_metric_rows"]


class MetricRow(NamedTuple):
    """One figure of one agent in one iteration.

    Attributes:
        config: name of the experiment.
        seed: of the world.
        iteration: from 0, counting on across runs.
        agent: its name, or ``ALL_AGENTS`` for a total.
        metric: name.
        figure: NaN where there was nothing to take a mean of.
    """

    config: str
    seed: int
    iteration: int
    agent: str
    metric: str
    figure: float


def compute_agent_metrics(totals: NDArray[np.float64], shades: bool) -> dict[str, float]:
    """Metrics of one agent in one iteration.

    Args:
        totals: float64 [len(Total)]; of the agent.
        shades: whether the agent has a shading factor to report.
    """
    by = dict(zip(Total, map(float, totals), strict=True))
    metrics = {
        "net_utility": by[Total.GROSS_UTILITY] - by[Total.SPEND],
        "gross_utility": by[Total.GROSS_UTILITY],
        "allocation_regret": by[Total.ALLOCATION_REGRET],
        "estimation_regret": by[Total.ESTIMATION_REGRET],
        "overbid_regret": by[Total.OVERBID_REGRET],
        "underbid_regret": by[Total.UNDERBID_REGRET],
        "ctr_rmse": math.sqrt(_divide(by[Total.SQUARED_CTR_ERROR], by[Total.RECORDS])),
        "ctr_bias": _divide(by[Total.CTR_RATIO], by[Total.WON]),
        "best_expected_value": _divide(by[Total.BEST_EXPECTED_VALUE], by[Total.RECORDS]),
    }
    if shades:
        metrics["gamma"] = _divide(by[Total.GAMMA], by[Total.RECORDS])
    return metrics | {
        "x_participations": by[Total.RECORDS],
        "x_wins": by[Total.WON],
        "x_clicks": by[Total.CLICKS],
        "x_spend": by[Total.SPEND],
        "x_mean_bid": _divide(by[Total.BID], by[Total.RECORDS]),
        "x_mean_true_ctr": _divide(by[Total.TRUE_CTR], by[Total.RECORDS]),
        "x_mean_value": _divide(by[Total.ITEM_VALUE], by[Total.RECORDS]),
    }


def compute_overall_metrics(totals: NDArray[np.float64]) -> dict[str, float]:
    """Totals over all agents in one iteration; welfare is surplus plus revenue.

    Args:
        totals: float64 [agents, len(Total)].
    """
    by = dict(zip(Total, map(float, totals.sum(axis=0)), strict=True))
    return {
        "auction_revenue": by[Total.SPEND],
        "social_welfare": by[Total.GROSS_UTILITY],
        "social_surplus": by[Total.GROSS_UTILITY] - by[Total.SPEND],
        "x_wins": by[Total.WON],
        "x_clicks": by[Total.CLICKS],
    }


def iterate_metric_rows(
    config_name: str, seed: int, iteration: int, agents: tuple[AgentConfig, ...], totals: NDArray[np.float64]
) -> Iterator[MetricRow]:
    """The rows of one world's iteration: each agent's metrics, then the totals.

    Args:
        config_name: goes into the rows, as do ``seed`` and ``iteration``.
        seed: of the world.
        iteration: from 0.
        agents: as expanded.
        totals: float64 [agents, len(Total)].
    """
    for agent, own in zip(agents, totals, strict=True):
        shades = not isinstance(agent.bidder, TruthfulBidderConfig)
        for metric, figure in compute_agent_metrics(own, shades).items():
            yield MetricRow(config_name, seed, iteration, agent.name, metric, figure)
    for metric, figure in compute_overall_metrics(totals).items():
        yield MetricRow(config_name, seed, iteration, ALL_AGENTS, metric, figure)


def _divide(total: float, count: float) -> float:
    return total / count if count else math.nan

"""Whether a score holds when every impression is an auction: one policy at both market fidelities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.outcomes import WorldOutcomes
from gaelp_rl.evaluation.score import compute_world_scores
from gaelp_rl.evaluation.statistics import PairedDifference, compute_iqm, sample_paired_difference

__all__ = ["FidelityCheck", "FidelityRow", "compute_fidelity_check", "render_fidelity_check"]


@dataclass(frozen=True, slots=True)
class FidelityRow:
    """One policy in the same worlds, their hours aggregated and auction by auction.

    Attributes:
        policy: its name.
        aggregate_fho: interquartile mean of FHO at aggregate fidelity.
        auction_fho: the same at auction fidelity.
        difference: auction less aggregate, with its bootstrap interval over worlds.
        aggregate_conversions_per_day: mean expected conversions at aggregate fidelity.
        auction_conversions_per_day: the same at auction fidelity.
    """

    policy: str
    aggregate_fho: float
    auction_fho: float
    difference: PairedDifference
    aggregate_conversions_per_day: float
    auction_conversions_per_day: float


@dataclass(frozen=True, slots=True)
class FidelityCheck:
    """Policies at both fidelities.

    Attributes:
        family: of the worlds.
        num_worlds: how many, the same for both.
        confidence: coverage of the intervals.
        rows: one per policy.
    """

    family: str
    num_worlds: int
    confidence: float
    rows: tuple[FidelityRow, ...]


def compute_fidelity_check(
    aggregate: Sequence[WorldOutcomes],
    auction: Sequence[WorldOutcomes],
    objective: Objective,
    config: EvaluationConfig,
) -> FidelityCheck:
    """Compares the same policies in the same worlds at both fidelities.

    Args:
        aggregate: outcomes at aggregate fidelity, one per policy.
        auction: outcomes at auction fidelity, of the same policies in the same order and worlds.
        objective: daily budget and CPA target.
        config: seed, resamples and confidence of the intervals.

    Raises:
        DataError: there is nothing to compare, or policies or worlds differ.
    """
    if not aggregate or len(aggregate) != len(auction):
        msg = (
            f"{len(aggregate)} policies at aggregate and {len(auction)} at auction fidelity: run the same, at least one"
        )
        raise DataError(msg)
    rows = [_compare_row(*pair, objective, config) for pair in zip(aggregate, auction, strict=True)]
    return FidelityCheck(aggregate[0].family, aggregate[0].num_worlds, config.confidence, tuple(rows))


def _compare_row(
    aggregate: WorldOutcomes, auction: WorldOutcomes, objective: Objective, config: EvaluationConfig
) -> FidelityRow:
    if aggregate.policy != auction.policy or not np.array_equal(aggregate.seeds, auction.seeds):
        msg = f"{aggregate.policy!r} and {auction.policy!r} did not meet the same worlds: run both on the same seeds"
        raise DataError(msg)
    at_aggregate, at_auction = (compute_world_scores(one, objective) for one in (aggregate, auction))
    rng = np.random.default_rng(config.seed)
    difference = sample_paired_difference(
        at_auction.fho[None], at_aggregate.fho[None], rng, config.bootstrap_resamples, config.confidence
    )
    return FidelityRow(
        policy=aggregate.policy,
        aggregate_fho=float(compute_iqm(at_aggregate.fho)),
        auction_fho=float(compute_iqm(at_auction.fho)),
        difference=difference,
        aggregate_conversions_per_day=float(at_aggregate.conversions_per_day.mean()),
        auction_conversions_per_day=float(at_auction.conversions_per_day.mean()),
    )


def render_fidelity_check(check: FidelityCheck) -> Table:
    """One row per policy, FHO in per cent, differences in points."""
    table = Table(
        title=f"{check.family} · the same {check.num_worlds:,} worlds, aggregated and auction by auction",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        title_justify="left",
    )
    table.add_column("policy", overflow="fold", min_width=12)
    for heading in ("FHO aggregate", "FHO auction", "difference", "interval", "conv/d aggregate", "conv/d auction"):
        table.add_column(heading, justify="right")
    for row in check.rows:
        low, high = row.difference.interval.low, row.difference.interval.high
        table.add_row(
            row.policy,
            f"{100 * row.aggregate_fho:.1f}",
            f"{100 * row.auction_fho:.1f}",
            f"{100 * row.difference.difference:+.2f}",
            f"{100 * low:+.2f} {100 * high:+.2f}",
            f"{row.aggregate_conversions_per_day:.1f}",
            f"{row.auction_conversions_per_day:.1f}",
        )
    return table

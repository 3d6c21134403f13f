"""Whether the engine agrees with AuctionGym: every metric of every reference config, by statistics.

Reference results hold one process per seed. The engine runs the same seeds, so the same catalogues, many times
each; given the catalogue, reference runs and own runs differ by chance alone if the two agree. For every config,
agent kind, metric and iteration the report asks for a difference (Student's t on per-seed differences of means,
and an exchange test over all agents and seeds; Holm over all p-values) and for the absence of one (two
one-sided tests against a margin). Configs whose agents never change repeat the same iteration; there all
iterations of a seed count as runs of one.

The margin is a share of the metric's level. Where agents learn, runs of one catalogue differ so much that few seeds
cannot rule out a tenth of the level; there it is widened to 0.76 sd of a single run where that is more.

Source: European Medicines Agency, "Guideline on the investigation of bioequivalence", 2010, section 4.1.10
(margins of highly variable products: 0.760 within-subject standard deviations).
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from envs.auction.config import (
    ALL_AGENTS,
    AuctionConfig,
    EmpiricalShadedBidderConfig,
    TruthfulBidderConfig,
    load_auctiongym_config,
)
from envs.auction.metrics import MetricRow
from envs.auction.run import run_auctiongym
from experiments.parity_report import Hypothesis, ParityReport, make_parity_report, render_parity_table
from experiments.progress import WorkProgress, make_console
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.equivalence import (
    compute_paired_comparison,
    sample_exchange_p_value,
)

__all__ = [
    "compare_config",
    "is_stationary",
    "load_reference_rows",
    "run_parity",
]

FloatArray = NDArray[np.float64]
Kind = Literal["stationary", "shaded", "learned"]

STATIONARY_MARGIN_SHARE = 0.03
LEARNED_MARGIN_SHARE = 0.10
LEARNED_MARGIN_SD = 0.76
OWN_RUNS: dict[str, int] = {"stationary": 20, "shaded": 8, "learned": 12}

_MONEY = {
    "net_utility", "gross_utility", "allocation_regret", "estimation_regret", "overbid_regret", "underbid_regret",
    "x_spend", "auction_revenue", "social_surplus", "social_welfare",
}  # fmt: skip
_LOGARITHMIC = {"ctr_bias"}
_CONSTANT_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class _Runs:
    """Figures float64 [seeds, runs, iterations] by (agent, metric), seeds in order."""

    seeds: tuple[int, ...]
    figures: dict[tuple[str, str], FloatArray]


def run_parity(
    reference: Path,
    names: Sequence[str] = (),
    own_runs: Mapping[str, int] | None = None,
    console: Console | None = None,
) -> ParityReport:
    """Runs every reference config on the engine and compares.

    Args:
        reference: a folder with ``configs/<name>.json`` and ``results/<name>.csv.gz``.
        names: which configs; all that have results if empty.
        own_runs: runs per seed by config, or by kind of config: stationary, shaded or learned.
        console: where progress and the table go; made if missing.

    Returns:
        The report.
    """
    console = console or make_console()
    names = names or sorted(path.name.removesuffix(".csv.gz") for path in (reference / "results").glob("*.csv.gz"))
    runs = {**OWN_RUNS, **(own_runs or {})}
    hypotheses: list[Hypothesis] = []
    with WorkProgress(console, "parity with AuctionGym", len(names)) as progress:
        for done, name in enumerate(names):
            progress.update(done, name)
            config = load_auctiongym_config(reference / "configs" / f"{name}.json")
            rows = load_reference_rows(reference / "results" / f"{name}.csv.gz")
            hypotheses += compare_config(config, rows, runs.get(name, runs[_choose_kind(config)]))
        progress.update(len(names))
    report = make_parity_report(hypotheses)
    console.print(render_parity_table(report))
    return report


def load_reference_rows(path: Path) -> list[MetricRow]:
    """Rows of a gzipped table ``config, seed, iteration, agent, metric, value``.

    Raises:
        DataError: the file is missing or its columns are others.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return [
                MetricRow(
                    row["config"], int(row["seed"]), int(row["iteration"]), row["agent"], row["metric"],
                    float(row["value"]),
                )
                for row in csv.DictReader(file)
            ]  # fmt: skip
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise DataError(f"{str(path)!r} is no gzipped table of AuctionGym results: {error!r}") from error


def is_stationary(config: AuctionConfig) -> bool:
    """Whether every iteration has the same law: no agent learns, shades or remembers."""
    return all(
        agent.is_oracle and isinstance(agent.bidder, TruthfulBidderConfig) and agent.memory == 0
        for agent in config.agents
    )


def compare_config(
    config: AuctionConfig,
    reference: Sequence[MetricRow],
    own_runs: int,
    simulate: Callable[..., list[MetricRow]] = run_auctiongym,
) -> list[Hypothesis]:
    """The questions of one config, answered; p-values not yet adjusted.

    Args:
        config: the experiment.
        reference: AuctionGym's rows, one process per seed.
        own_runs: runs per seed on the engine, in AuctionGym's own way (``compat``).
        simulate: has the signature of `run_auctiongym`.
    """
    stationary = is_stationary(config)
    update = {"num_iter": own_runs, "num_runs": 1} if stationary else {"num_runs": own_runs}
    own_config = config.model_copy(update=update)
    seeds = sorted({row.seed for row in reference})
    length = 1 if stationary else config.num_iter
    own = _collect_runs(simulate(own_config, reference[0].config, seeds, True), length)
    other = _collect_runs(reference, length)
    kind = _choose_kind(config)
    rng = np.random.default_rng(np.random.SeedSequence(list(reference[0].config.encode())))
    hypotheses = []
    for group, members in _group_agents(config).items():
        for metric in dict.fromkeys(metric for agent, metric in other.figures if agent == members[0]):
            for iteration in range(length):
                pair = _select(other, members, metric, iteration), _select(own, members, metric, iteration)
                scale = _compute_scale(other, members, metric, iteration)
                margin, is_widened = _compute_margin(metric, scale, pair[1], kind)
                when = None if stationary else iteration
                question = Hypothesis(reference[0].config, group, metric, when, 0, 0.0, margin, is_widened, None, 1.0)
                hypotheses.append(_answer(question, *pair, rng))
    return hypotheses


def _choose_kind(config: AuctionConfig) -> Kind:
    if is_stationary(config):
        return "stationary"
    shades = all(
        agent.is_oracle and isinstance(agent.bidder, TruthfulBidderConfig | EmpiricalShadedBidderConfig)
        for agent in config.agents
    )
    return "shaded" if shades else "learned"


def _collect_runs(rows: Sequence[MetricRow], length: int) -> _Runs:
    """Cuts each seed's iterations into runs of ``length``."""
    seeds = tuple(sorted({row.seed for row in rows}))
    places = {seed: place for place, seed in enumerate(seeds)}
    total = 1 + max(row.iteration for row in rows)
    figures: dict[tuple[str, str], FloatArray] = {}
    for row in rows:
        key = (row.agent, row.metric)
        if key not in figures:
            figures[key] = np.full((len(seeds), total), np.nan)
        figures[key][places[row.seed], row.iteration] = row.figure
    shaped = {key: table.reshape(len(seeds), total // length, length) for key, table in figures.items()}
    return _Runs(seeds, shaped)


def _group_agents(config: AuctionConfig) -> dict[str, list[str]]:
    """Names of agents by entry of the config, and the totals."""
    names = [agent.name for agent in config.expand_agents()]
    groups: dict[str, list[str]] = {}
    for entry in config.agents:
        count = entry.num_copies or 1
        groups[entry.name], names = names[:count], names[count:]
    return groups | {ALL_AGENTS: [ALL_AGENTS]}


def _select(runs: _Runs, members: Sequence[str], metric: str, iteration: int) -> FloatArray:
    """Figures float64 [seeds, runs, members]."""
    selected = np.stack([runs.figures[name, metric][:, :, iteration] for name in members], axis=2)
    return np.log(selected) if metric in _LOGARITHMIC else selected


def _compute_scale(runs: _Runs, members: Sequence[str], metric: str, iteration: int) -> float:
    """What a share of the margin is a share of: welfare for sums of money, 1 for logarithms, else the level."""
    if metric in _LOGARITHMIC:
        return 1.0
    if metric in _MONEY:
        metric = "social_welfare" if members[0] == ALL_AGENTS else "gross_utility"
    return abs(float(np.nanmean(_select(runs, members, metric, iteration))))


def _compute_margin(metric: str, scale: float, own: FloatArray, kind: Kind) -> tuple[float, bool]:
    """The margin, and whether it was widened to a multiple of the spread of single runs in one world."""
    share = LEARNED_MARGIN_SHARE if kind == "learned" else STATIONARY_MARGIN_SHARE
    margin = math.log1p(share) if metric in _LOGARITHMIC else share * scale
    runs = np.ma.masked_invalid(own).mean(axis=2)
    if kind != "learned" or own.shape[1] < 2:
        return margin, False
    widened = LEARNED_MARGIN_SD * float(np.sqrt(runs.var(axis=1, ddof=1).mean()))
    return max(margin, widened), widened > margin


def _answer(question: Hypothesis, reference: FloatArray, own: FloatArray, rng: np.random.Generator) -> Hypothesis:
    """Compares runs float64 [seeds, runs, members]; copies without a figure are left out of a run's mean."""
    both = [np.ma.masked_invalid(table) for table in (reference, own)]
    differences = np.ma.filled(both[0].mean(axis=(1, 2)) - both[1].mean(axis=(1, 2)), np.nan)
    known = np.isfinite(differences)
    level = float(both[0].mean())
    question = replace(question, seeds=int(known.sum()), reference_mean=level)
    spread = max(float(abs(table - level).max()) for table in both)
    if spread <= _CONSTANT_TOLERANCE * (1.0 + abs(level)):
        return question
    paired = compute_paired_comparison(differences[known], question.margin)
    if any(np.ma.is_masked(table) for table in both):
        both = [table.mean(axis=2, keepdims=True) for table in both]
    reference_runs, own_runs = (np.ma.filled(table[known], np.nan) for table in both)
    exchange = sample_exchange_p_value(reference_runs, own_runs, rng)
    return replace(question, paired=paired, exchange_p_value=exchange)

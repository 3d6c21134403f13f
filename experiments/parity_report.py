"""Questions of parity, their answers, and the table that shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from gaelp_rl.evaluation.equivalence import PairedComparison, compute_holm_adjusted

__all__ = ["ALPHA", "VERDICTS", "Hypothesis", "ParityReport", "Verdict", "make_parity_report", "render_parity_table"]

ALPHA = 0.05
Verdict = Literal["identical", "equivalent", "not shown", "different"]
VERDICTS: tuple[Verdict, ...] = ("identical", "equivalent", "not shown", "different")


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One question: do the means agree?

    Attributes:
        config: name of the config.
        agents: the entry of the config whose copies are meant, or ``ALL_AGENTS`` for a total.
        metric: its name; ``ctr_bias`` is compared as its logarithm.
        iteration: from 0; None where every iteration repeats the same.
        seeds: reference seeds that have a figure.
        reference_mean: over seeds, reference runs and copies.
        margin: the smallest difference of means that would matter, in the metric's unit (log units for ctr_bias).
        is_widened: whether the margin is a multiple of the spread of single runs, not a share of the level.
        paired: what the per-seed differences (reference less own) say; None where both samples are one constant.
        exchange_p_value: of reference and own runs being exchangeable, agent by agent and seed by seed.
        adjusted_p_value: the smaller of both p-values after Holm over the whole report; 1 before.
    """

    config: str
    agents: str
    metric: str
    iteration: int | None
    seeds: int
    reference_mean: float
    margin: float
    is_widened: bool
    paired: PairedComparison | None
    exchange_p_value: float
    adjusted_p_value: float = 1.0

    @property
    def name(self) -> str:
        """Config, iteration, agents and metric in one word."""
        iteration = "" if self.iteration is None else f"[{self.iteration}]"
        return f"{self.config}{iteration}/{self.agents}/{self.metric}"

    @property
    def verdict(self) -> Verdict:
        """Different beats everything; equivalence must be shown."""
        if self.adjusted_p_value <= ALPHA:
            return "different"
        if self.paired is None:
            return "identical"
        return "equivalent" if self.paired.equivalence_p_value <= ALPHA else "not shown"


@dataclass(frozen=True, slots=True)
class ParityReport:
    """All hypotheses, p-values adjusted together."""

    hypotheses: tuple[Hypothesis, ...]

    def select(self, verdict: Verdict) -> tuple[Hypothesis, ...]:
        """Those with that verdict."""
        return tuple(one for one in self.hypotheses if one.verdict == verdict)


def make_parity_report(hypotheses: Sequence[Hypothesis]) -> ParityReport:
    """A report with p-values adjusted by Holm's method over both p-values of every hypothesis that has them."""
    tested = [(place, p) for place, one in enumerate(hypotheses) for p in _list_p_values(one)]
    adjusted = compute_holm_adjusted(np.array([p for _, p in tested]))
    smallest = [1.0] * len(hypotheses)
    for (place, _), p in zip(tested, adjusted, strict=True):
        smallest[place] = min(smallest[place], float(p))
    return ParityReport(tuple(replace(one, adjusted_p_value=p) for one, p in zip(hypotheses, smallest, strict=True)))


def _list_p_values(hypothesis: Hypothesis) -> list[float]:
    if hypothesis.paired is None:
        return []
    both = (hypothesis.paired.difference_p_value, hypothesis.exchange_p_value)
    return [p for p in both if math.isfinite(p)]


def render_parity_table(report: ParityReport) -> Table:
    """One row per config and metric: how many questions, how they came out, and the worst shift."""
    counts = {verdict: len(report.select(verdict)) for verdict in VERDICTS}
    table = Table(
        title="Parity with AuctionGym: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()),
        caption=(
            "asked: questions (agent kinds x iterations); wide: of them with a margin in sds of "
            "single runs; shift: largest |difference of means| / margin; "
            "p: smallest after Holm over all p-values of the report"
        ),
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("config", "metric"):
        table.add_column(heading, no_wrap=True)
    for heading in ("seeds", "asked", "same", "equiv.", "not shown", "differ", "wide", "shift", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    ordered = sorted(report.hypotheses, key=lambda one: (one.config, one.metric))
    for (config, metric), run in groupby(ordered, key=lambda one: (one.config, one.metric)):
        table.add_row(config, metric, *_make_cells(list(run)))
    return table


def _make_cells(group: Sequence[Hypothesis]) -> list[str]:
    verdicts = [one.verdict for one in group]
    tested = [one for one in group if one.paired is not None]
    shifts = [abs(one.paired.mean) / one.margin for one in tested if one.paired is not None]
    return [
        str(min(one.seeds for one in group)),
        str(len(group)),
        *(str(verdicts.count(verdict) or "") for verdict in VERDICTS),
        str(sum(one.is_widened for one in tested) or ""),
        f"{max(shifts):.2f}" if shifts else "",
        f"{min(one.adjusted_p_value for one in group):.2g}",
    ]

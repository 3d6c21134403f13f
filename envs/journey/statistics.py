"""What is reported about users' sessions: one row per session, and one row per metric over sessions.

The metrics, their definitions and the columns are those of reference runs of the ``recsim`` package; a
session's ratio whose denominator is 0 (a share of clicks without a click) is undefined and left out
of that metric's mean, sd and percentiles.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gaelp_rl.errors import ConfigError, suggest

__all__ = [
    "METRICS",
    "SESSION_COLUMNS",
    "SUMMARY_COLUMNS",
    "SessionRow",
    "SessionStatistics",
    "SummaryRow",
    "compute_session_metrics",
    "make_session_statistics",
    "summarise",
    "write_statistics",
]

FloatArray = NDArray[np.float64]

_PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
_SHARED = ("length", "clicks", "ctr_per_step", "first_slot_share", "reward", "reward_per_step")
_QUALITY = ("clicked_quality_mean", "quality_sum")
_INTEREST = ("end_budget", "interest_mean_start", "interest_mean_end")

METRICS: dict[str, tuple[str, ...]] = {
    "interest_evolution": (*_SHARED, *_QUALITY, *_INTEREST),
    "interest_exploration": (*_SHARED, *_QUALITY),
    "long_term_satisfaction": (*_SHARED, "clickbait_mean", "satisfaction_end", "npe_end"),
    "ads": (
        *(*_SHARED, *_QUALITY, *_INTEREST),
        *("conversions", "conversions_per_click", "mean_delay_hours", "mean_exposures"),
    ),
}
"""Metrics of each model, in the order in which they are written."""


class SessionRow(NamedTuple):
    """One user's session; a figure that the model does not have is NaN.

    Attributes:
        length: steps until the session ended.
        clicks: steps with a click.
        first_slot_clicks: clicks on the slate's first position.
        reward: sum over steps.
        quality_sum: sum of the clicked documents' qualities.
        clickbait_sum: sum of the clicked documents' clickbait scores.
        end_budget: what is left of the user's budget; may be below 0.
        interest_mean_start: mean over topics of the user's interests at the start.
        interest_mean_end: the same at the end.
        satisfaction_end: at the end.
        npe_end: net positive exposure at the end.
        conversions: after clicks of this session, whenever they are reported.
        delay_hours_sum: sum over conversions of the hours from click to report.
        mean_exposures: mean over shown ads of how often the user had seen the creative before.
    """

    length: float
    clicks: float
    first_slot_clicks: float
    reward: float
    quality_sum: float = np.nan
    clickbait_sum: float = np.nan
    end_budget: float = np.nan
    interest_mean_start: float = np.nan
    interest_mean_end: float = np.nan
    satisfaction_end: float = np.nan
    npe_end: float = np.nan
    conversions: float = np.nan
    delay_hours_sum: float = np.nan
    mean_exposures: float = np.nan


SESSION_COLUMNS = SessionRow._fields
"""Columns of a table of sessions."""


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """All sessions of one run.

    Attributes:
        model: whose metrics apply; see ``METRICS``.
        sessions: float64 [sessions, columns]; a ``SessionRow`` each.
        clicks_by_step: int64 [steps]; sessions that clicked at each step.
    """

    model: str
    sessions: FloatArray
    clicks_by_step: NDArray[np.int64]

    def column(self, name: str) -> FloatArray:
        """One column of ``SESSION_COLUMNS``, float64 [sessions]."""
        return self.sessions[:, SESSION_COLUMNS.index(name)]

    @property
    def alive_by_step(self) -> NDArray[np.int64]:
        """Sessions that have not ended before each step, int64 [steps]."""
        ended = np.bincount(self.column("length").astype(np.int64))
        return np.asarray(self.sessions.shape[0] - np.cumsum(ended)[:-1], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One metric over all sessions of a case.

    Attributes:
        case: which model, choice and policy.
        users: sessions.
        metric: its name.
        mean: over the sessions for which it is defined; NaN where there is none.
        sd: sample standard deviation over them.
        se: standard error of the mean.
        p5: 5th percentile, by linear interpolation; the others alike.
        p25: 25th percentile.
        p50: median.
        p75: 75th percentile.
        p95: 95th percentile.
    """

    case: str
    users: int
    metric: str
    mean: float
    sd: float
    se: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


SUMMARY_COLUMNS = tuple(field.name for field in fields(SummaryRow))
"""Columns of the statistics file."""


def make_session_statistics(
    model: str, rows: Sequence[SessionRow] | FloatArray, clicks_by_step: ArrayLike
) -> SessionStatistics:
    """Sessions as one table.

    Args:
        model: a name of ``METRICS``.
        rows: one per session, or float64 [sessions, columns].
        clicks_by_step: sessions that clicked at each step.

    Raises:
        ConfigError: the model does not exist, or there is no session.
    """
    if model not in METRICS:
        msg = f"model {model!r} does not exist.{suggest(model, METRICS)}"
        raise ConfigError(msg)
    sessions = np.asarray(rows, dtype=np.float64).reshape(-1, len(SESSION_COLUMNS))
    if sessions.shape[0] == 0:
        msg = "a run of 0 users has no statistics; simulate at least 1"
        raise ConfigError(msg)
    return SessionStatistics(model, sessions, np.asarray(clicks_by_step, dtype=np.int64))


def compute_session_metrics(statistics: SessionStatistics) -> dict[str, FloatArray]:
    """Every metric of the model per session, float64 [sessions] each; NaN where it is undefined."""
    column = statistics.column
    length, clicks, conversions = column("length"), column("clicks"), column("conversions")
    derived = {
        "ctr_per_step": (clicks, length),
        "first_slot_share": (column("first_slot_clicks"), clicks),
        "reward_per_step": (column("reward"), length),
        "clicked_quality_mean": (column("quality_sum"), clicks),
        "clickbait_mean": (column("clickbait_sum"), clicks),
        "conversions_per_click": (conversions, clicks),
        "mean_delay_hours": (column("delay_hours_sum"), conversions),
    }
    metrics: dict[str, FloatArray] = {}
    for name in METRICS[statistics.model]:
        if name in derived:
            numerator, denominator = derived[name]
            undefined = np.full(length.shape, np.nan)
            metrics[name] = np.divide(numerator, denominator, out=undefined, where=denominator > 0.0)
        else:
            metrics[name] = column(name)
    return metrics


def summarise(case: str, statistics: SessionStatistics) -> list[SummaryRow]:
    """Mean, spread and percentiles of each of the model's metrics, in the order of ``METRICS``."""
    users = statistics.sessions.shape[0]
    return [_summarise_metric(case, users, name, of) for name, of in compute_session_metrics(statistics).items()]


def _summarise_metric(case: str, users: int, name: str, per_session: FloatArray) -> SummaryRow:
    defined = per_session[~np.isnan(per_session)]
    if defined.size == 0:
        return SummaryRow(case, users, name, *[np.nan] * 8)
    sd = float(defined.std(ddof=1)) if defined.size > 1 else np.nan
    percentiles = (float(p) for p in np.percentile(defined, _PERCENTILES))
    return SummaryRow(case, users, name, float(defined.mean()), sd, sd / float(np.sqrt(defined.size)), *percentiles)


def write_statistics(path: Path, rows: Sequence[SummaryRow]) -> None:
    """Writes ``SUMMARY_COLUMNS`` as CSV, six significant digits a figure; makes the folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SUMMARY_COLUMNS)
        for row in rows:
            cells = (getattr(row, name) for name in SUMMARY_COLUMNS)
            writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells])

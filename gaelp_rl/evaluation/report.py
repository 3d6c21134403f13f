"""The evaluation report: one HTML file that needs nothing else, and its plots as PNG beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.errors import DataError
from gaelp_rl.evaluation.claim import ClaimVerdict
from gaelp_rl.evaluation.comparison import FamilyComparison
from gaelp_rl.evaluation.fidelity import FidelityCheck
from gaelp_rl.evaluation.learning_curve import LearningCurve
from gaelp_rl.evaluation.narrative import compute_cpa_text, describe_champion, describe_feasibility
from gaelp_rl.evaluation.plots import (
    make_channel_figure,
    make_daily_spend_figure,
    make_interval_figure,
    make_learning_figure,
    make_profile_figure,
    make_volume_figure,
)
from gaelp_rl.evaluation.results_file import ResultsMeta
from gaelp_rl.evaluation.volume import VolumeCurve

__all__ = ["EvaluationReport", "write_report"]

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Everything that a report shows.

    Attributes:
        comparisons: one per family; the first decides and is shown in detail.
        meta: where the figures come from.
        verdict: the claim rule's finding on a trained policy; None where there was none.
        volume: the volume curve of the first family; None shows "no data".
        learning_curve: of the training run; None shows "no data".
        weekly_goal: conversions a week that the advertiser hopes for.
        fidelity_check: policies at both market fidelities; None leaves the section out.
    """

    comparisons: tuple[FamilyComparison, ...]
    meta: ResultsMeta
    verdict: ClaimVerdict | None = None
    volume: VolumeCurve | None = None
    learning_curve: LearningCurve | None = None
    weekly_goal: float = 1000.0
    fidelity_check: FidelityCheck | None = None

    @property
    def champion(self) -> str:
        """The policy to ship: the verdict's, else the best comparator, else the best policy."""
        if self.verdict is not None:
            return self.verdict.champion
        first = self.comparisons[0]
        return first.best_comparator or first.policies[0].policy


@dataclass(frozen=True, slots=True)
class _Section:
    """One plot of the report, or why there is none."""

    title: str
    name: str
    text: str
    figure: Figure | None
    missing: str = ""


def write_report(folder: Path, report: EvaluationReport) -> Path:
    """Writes ``report.html`` and one PNG per plot.

    Args:
        folder: where; made if missing.
        report: what to show.

    Returns:
        The path of the HTML file. It embeds its plots and loads nothing from elsewhere.

    Raises:
        DataError: the report has no family.
    """
    if not report.comparisons:
        msg = "a report needs at least one family; evaluate one first"
        raise DataError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    for section in _make_sections(report):
        image = None
        if section.figure is not None:
            png = _render_png(section.figure)
            (folder / f"{section.name}.png").write_bytes(png)
            image = base64.b64encode(png).decode("ascii")
        sections.append({"section": section, "image": image})
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    first = report.comparisons[0]
    html = environment.get_template("report.html").render(
        report=report,
        first=first,
        champion=first.find(report.champion),
        cpa_text=compute_cpa_text,
        summary=describe_champion(report.champion, first, report.verdict),
        sections=sections,
        channels=[channel.value for channel in CHANNELS],
    )
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def _make_sections(report: EvaluationReport) -> Iterator[_Section]:
    first = report.comparisons[0]
    yield _Section(
        "Who does best",
        "fho_intervals",
        "Each dot is a policy's typical result, each bar how sure we are. A policy is only called better when it "
        "beats the best comparator (dotted line) in the same worlds.",
        make_interval_figure(report.comparisons),
    )
    yield _Section(
        "How reliably",
        "performance_profile",
        "Read upwards from a score: the share of worlds in which a policy does at least that well. Higher and "
        "further right is better; an early drop means some markets go badly.",
        make_profile_figure(first),
    )
    yield _Section(
        "Where the money goes",
        "channels",
        "Average day, by channel.",
        make_channel_figure(first),
    )
    yield _Section(
        "Spend against the budget",
        "daily_spend",
        "Total of all channels on each day of the campaign. No day may be above the line.",
        make_daily_spend_figure(first, report.champion),
    )
    yield _make_volume_section(report, first)
    curve = report.learning_curve
    yield _Section(
        "Learning",
        "learning_curve",
        "Score of the whole trained action on validation worlds. The exported policy may use a share of it, chosen "
        "on those worlds; the final comparison uses others.",
        None if curve is None or not curve.episodes.size else make_learning_figure(curve),
        "No data: no policy was trained in this run.",
    )


def _make_volume_section(report: EvaluationReport, first: FamilyComparison) -> _Section:
    title, name = "What is feasible", "volume_curve"
    if report.volume is None:
        return _Section(title, name, "", None, "No data: the volume curve was not computed in this run.")
    budget, currency = first.objective.daily_budget, first.objective.currency
    return _Section(
        title,
        name,
        describe_feasibility(report.volume, budget, report.weekly_goal, currency),
        make_volume_figure(report.volume, budget, report.weekly_goal, currency),
    )


def _render_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

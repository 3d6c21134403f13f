"""The comparison as a table for the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gaelp_rl.evaluation.comparison import FamilyComparison, PolicySummary

__all__ = ["render_table"]


def render_table(comparison: FamilyComparison) -> Table:
    """One row per policy, best first; points are hundredths of the hindsight optimum.

    Args:
        comparison: one family.

    Returns:
        A table for ``rich.console.Console.print``.
    """
    objective, optimum = comparison.objective, comparison.optimum_conversions_per_day
    table = Table(
        title=(
            f"{comparison.family} · {len(comparison.world_seeds):,} worlds · budget {objective.daily_budget:,.0f} "
            f"{objective.currency} a day · CPA target {objective.cpa_target:,.0f}"
        ),
        caption=(
            f"In per cent. FHO: of what hindsight would have bought ({optimum:.1f} a day). "
            "CPA>, bud>: worlds with the CPA above target, with a day above budget. "
            "* best comparator   ° knows the truth, never a comparator"
        ),
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("policy", overflow="fold", min_width=12)
    headings = ("FHO", "interval", "p10", "vs best", "interval", "conv/d", "soft", "CPA>", "bud>", "use")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for summary in comparison.policies:
        style = "bold" if summary.policy == comparison.best_comparator else "dim" if summary.knows_truth else ""
        table.add_row(*_make_cells(summary, comparison), style=style)
    return table


def _make_cells(summary: PolicySummary, comparison: FamilyComparison) -> list[str | Text]:
    mark = " *" if summary.policy == comparison.best_comparator else " °" if summary.knows_truth else ""
    difference: str | Text = "-"
    interval = "-"
    if summary.paired is not None and summary.policy != comparison.best_comparator:
        low, high = summary.paired.interval.low, summary.paired.interval.high
        color = "green" if low > 0 else "red" if high < 0 else "yellow"
        difference = Text(f"{100 * summary.paired.difference:+.2f}", style=color)
        interval = f"{100 * low:+.2f} {100 * high:+.2f}"
    return [
        summary.policy + mark,
        f"{100 * summary.fho_iqm:.1f}",
        f"{100 * summary.fho_ci.low:.1f} {100 * summary.fho_ci.high:.1f}",
        f"{100 * summary.fho_p10:.1f}",
        difference,
        interval,
        f"{summary.conversions_per_day:.1f}",
        f"{100 * summary.soft_score:.1f}",
        _format_share(summary.cpa_violation_share),
        _format_share(summary.budget_breach_share),
        f"{100 * summary.budget_use:.0f}",
    ]


def _format_share(share: float) -> str | Text:
    text = f"{100 * share:.1f}"
    return Text(text, style="red") if share > 0 else text

"""One figure of a benchmark, what it is held against, and the table of them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table

__all__ = ["Measurement", "render_measurements"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure and what it is held against.

    Attributes:
        name: what was measured.
        figure: CPU time per item, or items per CPU second.
        unit: of ``figure``.
        against: the peer or goal; empty where there is none.
        against_figure: the peer's figure in the same unit; None where there is none.
        is_rate: whether more is better.
    """

    name: str
    figure: float
    unit: str
    against: str = ""
    against_figure: float | None = None
    is_rate: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer or goal; None where there is none."""
        if self.against_figure is None:
            return None
        return self.figure / self.against_figure if self.is_rate else self.against_figure / self.figure


def render_measurements(measurements: list[Measurement]) -> Table:
    """One row per measurement."""
    table = Table(
        title=f"CPU time, one thread · {platform.machine()}, {os.cpu_count()} cores",
        caption="A ratio above 1 is in our favour.",
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("what")
    for heading in ("figure", "unit", "against", "its figure", "ratio"):
        table.add_column(heading, justify="left" if heading in {"unit", "against"} else "right", no_wrap=True)
    for row in measurements:
        theirs = "" if row.against_figure is None else f"{row.against_figure:,.4g}"
        ratio = "" if row.ratio is None else f"{row.ratio:,.1f}x"
        table.add_row(row.name, f"{row.figure:,.4g}", row.unit, row.against, theirs, ratio)
    return table

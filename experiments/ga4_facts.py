"""From a GA4 export and platform reports to hourly facts, rates, delays and joined report rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from gaelp_rl.config.ga4 import Ga4Config

__all__ = ["Ga4Result", "run_ga4_facts"]


@dataclass(frozen=True, slots=True)
class Ga4Result:
    """Where the results lie.

    Attributes:
        reports: platform rows with GA4's conversions joined, Parquet; ``load_reports`` reads it.
        facts: hourly channel x device facts, Parquet.
        summary: counts, quarantine by field, landing rates, CVR and delay estimates with intervals, JSON.
    """

    reports: Path
    facts: Path
    summary: Path


def run_ga4_facts(ga4: Path, reports: Path, out: Path, settings: Ga4Config, console: Console) -> Ga4Result:
    """Reads an export and writes what it says.

    Args:
        ga4: folder of ``events_YYYYMMDD`` and ``events_intraday_YYYYMMDD`` files.
        reports: the platforms' hourly rows, CSV or Parquet.
        out: folder of the results.
        settings: what the export does not say itself.
        console: shows progress and what was read.

    Returns:
        Where the results lie.
    """
    raise NotImplementedError

"""Recorded runs of the ``recsim`` package; ``tests/data/recsim/README.md`` says what they are."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.journey.statistics import SESSION_COLUMNS, SessionStatistics, make_session_statistics

FOLDER = Path(__file__).resolve().parents[2] / "data" / "recsim"

CASES = {
    "iev_default_random": ("interest_evolution", "proportional", "random"),
    "iev_default_greedy_pctr": ("interest_evolution", "proportional", "greedy_pctr"),
    "iev_mnl_random": ("interest_evolution", "mnl", "random"),
    "iev_mnl_greedy_pctr": ("interest_evolution", "mnl", "greedy_pctr"),
    "iex_default_random": ("interest_exploration", "mnl", "random"),
    "iex_default_greedy_pctr": ("interest_exploration", "mnl", "greedy_pctr"),
    "lts_default_random": ("long_term_satisfaction", "mnl", "random"),
    "lts_default_greedy_choc": ("long_term_satisfaction", "mnl", "greedy_pctr"),
}
"""Model, choice and policy of each recorded case."""


def load_rows(name: str) -> list[dict[str, str]]:
    """A recorded table, zipped or not, as text."""
    recorded = (FOLDER / name).read_bytes()
    table = gzip.decompress(recorded) if name.endswith(".gz") else recorded
    return list(csv.DictReader(table.decode("utf-8").splitlines()))


def load_summary() -> dict[tuple[str, str], dict[str, float]]:
    """Figures by case and metric."""
    return {
        (row.pop("case"), row.pop("metric")): {name: float(cell) for name, cell in row.items()}
        for row in load_rows("summary.csv")
    }


def load_sessions(case: str) -> SessionStatistics:
    """Recorded sessions in our columns, with the recorded clicks of each step."""
    rows = load_rows(f"sessions_{case}.csv.gz")
    sessions = np.array([[float(row.get(name, "nan")) for name in SESSION_COLUMNS] for row in rows])
    curve = load_rows(f"curve_{case}.csv")
    clicks = [round(float(step["click_rate"]) * int(step["alive"])) for step in curve]
    return make_session_statistics(CASES[case][0], sessions, clicks)


def read_numbers(cell: str) -> NDArray[np.float64]:
    """Numbers separated by spaces."""
    return np.array([float(number) for number in cell.split()])

"""The simulators' benchmark: what it measures, on tiny sizes; no test asserts a time."""

from __future__ import annotations

from pathlib import Path

import pytest

import experiments.benchmark_simulators as simulators
from envs.auction.config import load_auctiongym_config
from envs.auction.upstream import UPSTREAM_PATH_VARIABLE
from experiments.benchmark_simulators import SimulatorSizes, make_oracle_config, measure_simulators

_TINY = SimulatorSizes(repeats=1, auctions=320, upstream_auctions=50, users=32, recsim_users=1, worlds=2, hours=10)
_REFERENCE = Path(__file__).parents[1] / "data" / "auctiongym" / "configs" / "sp_truthful_oracle.json"


def test_make_oracle_config__is_the_reference_experiment() -> None:
    """The rate beside AuctionGym's is of AuctionGym's own experiment."""
    recorded = load_auctiongym_config(_REFERENCE)
    ours = make_oracle_config(recorded.rounds_per_iter)
    ignored = {"output_dir", "num_iter", "num_runs"}
    assert ours.model_dump(exclude=ignored) == recorded.model_dump(exclude=ignored)


@pytest.mark.integration
def test_measure_simulators__names_its_peers_and_grows_from_the_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a checkout the recorded rate stands in and the row says so."""
    monkeypatch.delenv(UPSTREAM_PATH_VARIABLE, raising=False)
    rows = {row.name: row for row in measure_simulators(_TINY)}
    engine = rows["auctions, SP_Oracle"]
    assert "recorded" in engine.against
    assert engine.against_figure == simulators._RECORDED_RATE
    assert rows["user-steps, interest_evolution, random"].against.startswith("recsim 0.2.4")
    assert all(row.figure > 0.0 for name, row in rows.items() if not name.startswith("memory"))
    smallest = rows["auction, participants: 2"]
    assert smallest.against_figure == smallest.figure
    assert rows["auction, participants: 16"].against_figure == pytest.approx(8.0 * smallest.figure)
    assert rows["auction, worlds: 16"].against_figure == pytest.approx(rows["auction, worlds: 1"].figure)

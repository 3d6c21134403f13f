"""The engine against AuctionGym's own results, and proof that the comparison would tell."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from envs.auction.config import AuctionConfig, load_auctiongym_config
from envs.auction.metrics import MetricRow
from envs.auction.run import run_auctiongym
from envs.auction.upstream import UPSTREAM_PATH_VARIABLE, UpstreamAuctionGym
from experiments.auctiongym_parity import compare_config, is_stationary, load_reference_rows, run_parity
from experiments.parity_report import ParityReport, make_parity_report
from gaelp_rl.errors import DataError

DATA = Path(__file__).resolve().parents[1] / "data" / "auctiongym"
NAMES = sorted(path.name.removesuffix(".csv.gz") for path in (DATA / "results").glob("*.csv.gz"))
SIMPLE = {name for name in NAMES if "truthful_oracle" in name or "empirical" in name}
FEW_SEEDS = {"fp_dr_ts": 10}
"""Configs whose reference has too few runs, for how much runs of it differ, to show agreement in every metric."""


def load(name: str) -> tuple[AuctionConfig, list[MetricRow]]:
    config = load_auctiongym_config(DATA / "configs" / f"{name}.json")
    return config, load_reference_rows(DATA / "results" / f"{name}.csv.gz")


def compare(name: str, simulate: object = run_auctiongym, own_runs: int = 6) -> ParityReport:
    config, rows = load(name)
    return make_parity_report(compare_config(config, rows, own_runs, simulate))


@pytest.fixture(scope="module")
def report() -> ParityReport:
    return run_parity(DATA, own_runs={"stationary": 20, "shaded": 4, "learned": 2, "fp_dr_oracle": 5})


@pytest.mark.integration
def test_parity__no_metric_of_any_config_differs(report: ParityReport) -> None:
    assert {one.config for one in report.hypotheses} == set(NAMES)
    assert len(NAMES) == 13
    assert [one.name for one in report.select("different")] == []


@pytest.mark.integration
def test_parity__is_shown_for_every_metric_of_agents_that_learn_no_model(report: ParityReport) -> None:
    """Truthful and empirically shaded: all shown at 3 % of the level, none by a wider margin."""
    assert len(SIMPLE) == 7
    assert [one.name for one in report.select("not shown") if one.config in SIMPLE] == []
    assert not any(one.is_widened for one in report.hypotheses if one.config in SIMPLE)


@pytest.mark.integration
def test_parity__is_shown_for_learned_agents_but_for_a_few_questions(report: ParityReport) -> None:
    """Where the reference has runs enough at most one question in fifty stays open; elsewhere at most two thirds."""
    learned = [
        one for one in report.hypotheses if "oracle" not in one.config or "_d" in one.config or "ppo" in one.config
    ]
    enough = [one for one in learned if one.config not in FEW_SEEDS]
    open_questions = [one.name for one in enough if one.verdict == "not shown"]
    assert len(open_questions) <= len(enough) / 50, open_questions
    for name, seeds in FEW_SEEDS.items():
        own = [one for one in learned if one.config == name]
        assert {one.seeds for one in own} == {seeds}
        assert sum(one.verdict == "not shown" for one in own) <= 2 * len(own) / 3


def test_compare_config__agrees_on_a_small_config() -> None:
    """The fast tier's own look at parity: two slots for two bidders, every quirk on."""
    report = compare("fp_truthful_oracle_slots2_p2")
    assert report.select("different") == ()
    assert report.select("not shown") == ()


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("fp_truthful_oracle_slots2_p2", {"x_wins", "auction_revenue", "overbid_regret"}),
        ("sp_truthful_oracle_slots3", {"overbid_regret"}),
    ],
)
def test_compare_config__tells_that_defects_are_put_right(name: str, metrics: set[str]) -> None:
    """Without AuctionGym's own ways the comparison must fail, and by the metrics that they touch."""

    def simulate(config: AuctionConfig, config_name: str, seeds: Sequence[int], compat: bool) -> list[MetricRow]:
        assert compat
        return run_auctiongym(config, config_name, seeds, compat=False)

    assert metrics <= {one.metric for one in compare(name, simulate).select("different")}


def test_compare_config__tells_a_shift_of_three_per_cent() -> None:
    def simulate(*arguments: object) -> list[MetricRow]:
        rows = run_auctiongym(*arguments)
        return [row._replace(figure=1.03 * row.figure) if row.metric == "x_mean_bid" else row for row in rows]

    report = compare("sp_truthful_oracle", simulate)
    assert {one.metric for one in report.select("different")} == {"x_mean_bid"}
    assert "not shown" not in {one.verdict for one in report.hypotheses}


def test_compare_config__tells_catalogues_that_are_mixed_up() -> None:
    """Means over agents agree, but agents have each other's items: the exchange test must see it."""

    def simulate(*arguments: object) -> list[MetricRow]:
        rows = run_auctiongym(*arguments)
        swapped = {"Truthful Oracle 1": "Truthful Oracle 2", "Truthful Oracle 2": "Truthful Oracle 1"}
        return [row._replace(agent=swapped.get(row.agent, row.agent)) for row in rows]

    report = compare("sp_truthful_oracle", simulate)
    assert {"x_mean_bid", "x_wins", "best_expected_value"} <= {one.metric for one in report.select("different")}
    assert all(one.paired.difference_p_value > 0.01 for one in report.hypotheses if one.paired)


@pytest.mark.integration
def test_compare_config__agrees_with_a_checkout_run_live() -> None:
    """Shading agents that remember, in first price with two slots: a config that no reference table holds."""
    path = os.environ.get(UPSTREAM_PATH_VARIABLE)
    if not path:
        pytest.skip(f"AuctionGym itself was not run: set {UPSTREAM_PATH_VARIABLE} to a checkout of it")
    config = load("fp_empirical_oracle")[0]
    agent = config.agents[0].model_copy(update={"memory": 400, "num_copies": 3})
    changes = {"agents": (agent,), "max_slots": 2, "num_participants_per_round": 3}
    config = config.model_copy(update={**changes, "num_iter": 3, "rounds_per_iter": 1000})
    rows = UpstreamAuctionGym(Path(path)).run(config, "live", list(range(20, 32)))
    report = make_parity_report(compare_config(config, rows, 20))
    assert [one.name for one in report.select("different")] == []


def test_is_stationary__only_without_learning_shading_or_memory() -> None:
    truthful = load("sp_truthful_oracle")[0]
    agent = truthful.agents[0].model_copy(update={"memory": 5})
    assert is_stationary(truthful)
    assert not is_stationary(truthful.model_copy(update={"agents": (agent,)}))
    assert not is_stationary(load("sp_truthful_ts")[0])
    assert not is_stationary(load("fp_empirical_oracle")[0])


@pytest.mark.parametrize("name", NAMES)
def test_load_reference_rows__welfare_is_surplus_plus_revenue(name: str) -> None:
    """An identity of AuctionGym's bookkeeping: the tables are whole and read as they were written."""
    config, rows = load(name)
    totals = {row[1:3] + (row.metric,): row.figure for row in rows if row.agent == "__all__"}
    moments = {row[1:3] for row in rows}
    assert {iteration for _, iteration in moments} >= set(range(config.num_iter))
    for moment in moments:
        welfare, surplus, revenue = (
            totals[*moment, metric] for metric in ("social_welfare", "social_surplus", "auction_revenue")
        )
        assert np.isclose(welfare, surplus + revenue, rtol=1e-9, atol=1e-9)


def test_load_reference_rows__names_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv\.gz"):
        load_reference_rows(tmp_path / "none.csv.gz")
    with gzip.open(tmp_path / "other.csv.gz", "wt") as file:
        file.write("hour,spend\n1,2\n")
    with pytest.raises(DataError, match=r"other\.csv\.gz"):
        load_reference_rows(tmp_path / "other.csv.gz")

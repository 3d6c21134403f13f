"""Metrics by hand, and their names against the reference tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from envs.auction.config import ALL_AGENTS
from envs.auction.metrics import compute_agent_metrics, compute_overall_metrics
from envs.auction.run import run_auctiongym
from envs.auction.settlement import Offers, Outcomes, Total, add_log_totals, add_money_totals
from tests.envs.auction.reference_data import DATA, load_reference_config, read_table


def column(*figures):
    return np.array(figures, dtype=float)


def test_metrics__of_three_records_by_hand():
    """Won and clicked; won, not clicked, its price overwritten; lost below its worth."""
    offers = Offers(
        np.zeros(3, dtype=np.int64),
        item_value=column(2.0, 1.0, 4.0),
        estimated_ctr=column(0.5, 0.6, 0.25),
        true_ctr=column(0.25, 0.6, 0.5),
        best_expected_value=column(0.75, 0.6, 2.0),
        bid=column(0.9, 0.6, 1.0),
        gamma=column(0.9, 1.0, 0.8),
    )
    outcomes = Outcomes(
        price=column(0.5, 0.25, 1.25),
        spend=column(0.5, 0.4, 0.0),
        second_price=column(0.5, 0.4, 0.0),
        click=column(1.0, 0.0, 0.0),
        won=np.array([True, True, False]),
    )
    totals = np.zeros((2, len(Total)))
    for add in (add_money_totals, add_log_totals):
        add(3, np.ones(3, dtype=np.int64), offers, outcomes, totals)
    assert (totals[0] == 0.0).all()
    assert compute_agent_metrics(totals[1], shades=True) == pytest.approx(
        {
            "net_utility": 2.0 - 0.9,
            "gross_utility": 2.0,
            "allocation_regret": (0.75 - 0.5) + 0.0 + 0.0,
            "estimation_regret": (1.0 - 0.5) + 0.0 + (1.0 - 2.0),
            "overbid_regret": 0.0 + (0.25 - 0.4),
            "underbid_regret": 1.25 - 1.0,
            "ctr_rmse": math.sqrt((0.25**2 + 0.25**2) / 3),
            "ctr_bias": (2.0 + 1.0) / 2,
            "best_expected_value": (0.75 + 0.6 + 2.0) / 3,
            "gamma": 0.9,
            "x_participations": 3.0,
            "x_wins": 2.0,
            "x_clicks": 1.0,
            "x_spend": 0.9,
            "x_mean_bid": 2.5 / 3,
            "x_mean_true_ctr": 1.35 / 3,
            "x_mean_value": 7.0 / 3,
        }
    )
    assert compute_overall_metrics(totals) == pytest.approx(
        {"auction_revenue": 0.9, "social_welfare": 2.0, "social_surplus": 1.1, "x_wins": 2.0, "x_clicks": 1.0}
    )


def test_metrics__of_an_agent_without_records_are_nothing_and_no_means():
    metrics = compute_agent_metrics(np.zeros(len(Total)), shades=False)
    means = {"ctr_rmse", "ctr_bias", "best_expected_value", "x_mean_bid", "x_mean_true_ctr", "x_mean_value"}
    assert {name for name, figure in metrics.items() if math.isnan(figure)} == means
    assert all(figure == 0.0 for name, figure in metrics.items() if name not in means)
    assert "gamma" not in metrics


@given(hnp.arrays(np.float64, (4, len(Total)), elements=st.floats(0.0, 1e6)))
def test_overall__welfare_is_surplus_plus_revenue(totals):
    overall = compute_overall_metrics(totals)
    net = sum(compute_agent_metrics(own, False)["net_utility"] for own in totals)
    assert overall["social_welfare"] == pytest.approx(overall["social_surplus"] + overall["auction_revenue"])
    assert overall["social_surplus"] == pytest.approx(net, abs=1e-6)


@pytest.mark.parametrize("name", ["sp_truthful_oracle", "fp_empirical_oracle", "fp_truthful_oracle_mixed_p3"])
def test_rows__have_the_agents_and_metrics_of_the_reference(name):
    config = load_reference_config(name).model_copy(update={"rounds_per_iter": 50})
    rows = run_auctiongym(config, name, [0], True)
    reference = read_table(DATA / "results" / f"{name}.csv.gz")
    own = {(row.config, row.iteration, row.agent, row.metric) for row in rows}
    recorded = {(row["config"], int(row["iteration"]), row["agent"], row["metric"]) for row in reference}
    assert own == {key for key in recorded if key[1] < config.num_iter}
    assert len(own) == len(rows)
    assert {row.agent for row in rows} >= {ALL_AGENTS}

"""The controller that is told the truth: a diagnosis, so it must know more and stay out of tables."""

from __future__ import annotations

import numpy as np
import pytest

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.oracle import TruthInformedReference
from envs.market.simulation import NeedsMarket, make_ledger, simulate_planner
from gaelp_rl.config.market import load_family
from gaelp_rl.control.market_model import make_market_model
from gaelp_rl.control.reference import ReferenceController
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.errors import GaelpError

FAMILY = load_family("wide")
MODEL = make_market_model(FAMILY)


def test_oracle__is_no_comparator() -> None:
    assert TruthInformedReference.name not in COMPARATORS
    assert isinstance(TruthInformedReference(MODEL, FAMILY.objective), NeedsMarket)
    assert not isinstance(ReferenceController(MODEL, FAMILY.objective), NeedsMarket)


def test_oracle__without_its_market_says_so() -> None:
    market = BatchedMarket(FAMILY, 1)
    ledger = make_ledger(market)
    ledger.observe(market.reset(make_world_keys("train", 0, 1)))
    ledger.record_plan(market.make_initial_plan())
    planner = TruthInformedReference(MODEL, FAMILY.objective)
    planner.reset(ledger)
    with pytest.raises(GaelpError, match="call attach"):
        planner.plan(ledger)


def test_oracle__beliefs_are_the_market_s_factors() -> None:
    market = BatchedMarket(FAMILY, 3)
    ledger = make_ledger(market)
    ledger.observe(market.reset(make_world_keys("train", 0, 3)))
    ledger.record_plan(market.make_initial_plan())
    planner = TruthInformedReference(MODEL, FAMILY.objective)
    planner.attach(market)
    planner.reset(ledger)
    planner.plan(ledger)
    truth = market.compute_true_factors()
    np.testing.assert_array_equal(planner.beliefs.log_conversion, truth.log_conversion)
    np.testing.assert_array_equal(planner.beliefs.log_volume, truth.log_volume)


@pytest.mark.integration
def test_oracle__knowing_the_truth_pays() -> None:
    """On the family with the widest priors knowledge must be worth conversions."""
    keys = make_world_keys("validation", 0, 48)
    bought = [
        simulate_planner(planner(MODEL, FAMILY.objective), FAMILY, keys).expected_conversions.sum()
        for planner in (ReferenceController, TruthInformedReference)
    ]
    assert bought[1] > 1.01 * bought[0]

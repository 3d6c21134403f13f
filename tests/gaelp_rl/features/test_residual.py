"""The residual loop: action zero is the reference controller, through the same limits as everyone."""

from __future__ import annotations

import numpy as np
import pytest

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.simulation import make_ledger as make_ledger_of_market
from gaelp_rl.config.market import load_family
from gaelp_rl.control.change_limits import limit_changes
from gaelp_rl.control.market_model import make_channel_priors, make_market_model
from gaelp_rl.control.reference import ReferenceController
from gaelp_rl.errors import ActionError
from gaelp_rl.features.actions import ACTION_SIZE, ActionReach
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.features.residual import ResidualLoop

FAMILY = load_family("wide")


def _make_controller() -> ReferenceController:
    return ReferenceController(make_market_model(FAMILY), FAMILY.objective)


def test_residual_loop__action_zero_is_the_reference_controller_hour_by_hour() -> None:
    market = BatchedMarket(FAMILY, 4)
    ledger = make_ledger_of_market(market)
    ledger.observe(market.reset(make_world_keys("train", 3, 4)))
    ledger.record_plan(market.make_initial_plan())
    loop, alone = ResidualLoop(_make_controller(), make_channel_priors(FAMILY), ActionReach()), _make_controller()
    loop.reset(ledger)
    alone.reset(ledger)
    for _ in range(30):
        OBSERVATION_SCHEMA.check(loop.observe(ledger))
        plan = loop.decode(np.zeros((4, ACTION_SIZE), dtype=np.float32), ledger)
        expected = limit_changes(alone.plan(ledger), ledger)
        np.testing.assert_array_equal(plan.bid_micros, expected.bid_micros)
        np.testing.assert_array_equal(plan.daily_budget_micros, expected.daily_budget_micros)
        report, _ = market.step(plan)
        ledger.record_plan(plan)
        ledger.observe(report)
    with pytest.raises(ActionError, match="world 0"):
        loop.decode(np.full((4, ACTION_SIZE), np.nan), ledger)

"""A log goes through training's own code: same observations, same actions, same reward."""

from __future__ import annotations

import numpy as np
import pytest

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.simulation import make_ledger
from gaelp_rl.bootstrap.transitions import ReplayedHours, join_days, make_transition_days, replay_log
from gaelp_rl.config.market import FAMILIES
from gaelp_rl.control.change_limits import INERTIAL
from gaelp_rl.control.market_model import make_channel_priors, make_market_model
from gaelp_rl.control.reference import ReferenceController
from gaelp_rl.errors import DataError
from gaelp_rl.features.actions import ACTION_SIZE, ActionReach
from gaelp_rl.features.residual import ResidualLoop

_HOURS = 48


def _make_loop():
    family = FAMILIES["campaign"]
    controller = ReferenceController(make_market_model(family), family.objective)
    return ResidualLoop(controller, make_channel_priors(family), ActionReach())


@pytest.fixture(scope="module")
def logged():
    """Two days of a policy with known actions: its own observations, and what an account would have kept."""
    market, loop = BatchedMarket(FAMILIES["campaign"], 1), _make_loop()
    ledger = make_ledger(market)
    first = market.reset(make_world_keys("train", 3, 1))
    ledger.observe(first)
    ledger.record_plan(market.make_initial_plan())
    loop.reset(ledger)
    rng = np.random.default_rng(5)
    observations, actions, plans, reports = [loop.observe(ledger)], [], [market.make_initial_plan()], [first]
    for _ in range(_HOURS):
        action = rng.uniform(-0.5, 0.5, (1, ACTION_SIZE))
        plan = loop.decode(action, ledger)
        report, _ = market.step(plan)
        ledger.record_plan(plan)
        ledger.observe(report)
        observations.append(loop.observe(ledger))
        actions.append(action[0])
        plans.append(plan)
        reports.append(report)
    return np.concatenate(observations), np.array(actions), plans, reports


def _replay(logged):
    """The log from hour 0, the plan before the first hour being the market's initial one."""
    _, _, plans, reports = logged
    market = BatchedMarket(FAMILIES["campaign"], 1)
    market.reset(make_world_keys("train", 3, 1))
    return replay_log(reports, plans[1:], _make_loop(), make_ledger(market), before=plans[0])


def test_replay_log__sees_what_the_policy_saw(logged):
    """Float for float: no second feature builder, no shift by an hour."""
    np.testing.assert_array_equal(_replay(logged).observations, logged[0])


def test_replay_log__recovers_the_actions_where_nothing_holds_a_plan(logged):
    """Bids to the rounding of a cent (0.005 of a bid of at least 0.1, over a reach of 0.4)."""
    free = np.flatnonzero(~INERTIAL)
    np.testing.assert_allclose(_replay(logged).actions[:, free], logged[1][:, free], atol=0.15)
    assert np.abs(_replay(logged).actions[:, free] - logged[1][:, free]).mean() < 0.01


def test_replay_log__its_actions_decode_to_the_logged_plans(logged):
    """Clipping aside, what the log did is what its transitions say."""
    _, _, plans, reports = logged
    hours, loop = _replay(logged), _make_loop()
    market = BatchedMarket(FAMILIES["campaign"], 1)
    ledger = make_ledger(market)
    ledger.observe(reports[0])
    ledger.record_plan(plans[0])
    loop.reset(ledger)
    inside = 0
    for hour, (plan, report) in enumerate(zip(plans[1:], reports[1:], strict=True)):
        loop.observe(ledger)
        action = hours.actions[hour : hour + 1]
        if np.abs(action).max() < 1.0:
            decoded = loop.decode(action, ledger)
            np.testing.assert_allclose(decoded.bid_micros, plan.bid_micros, atol=10_000)
            inside += 1
        ledger.record_plan(plan)
        ledger.observe(report)
    assert inside > _HOURS // 2


def test_replay_log__needs_one_report_more_than_plans(logged):
    with pytest.raises(DataError, match="H \\+ 1 reports"):
        replay_log(logged[3][:3], logged[2][:3], _make_loop(), make_ledger(BatchedMarket(FAMILIES["campaign"], 1)))


def _make_hours(num_hours):
    return ReplayedHours(
        observations=np.arange(num_hours + 1, dtype=np.float32)[:, None],
        actions=np.arange(num_hours, dtype=np.float32)[:, None] / 100,
        prices=np.full(num_hours, 50.0),
        reference_plans=(),
        edge_share=0.0,
    )


def _make_days(num_hours, life_hours):
    return make_transition_days(
        _make_hours(num_hours),
        conversions=np.full(num_hours, 3.0),
        spend=np.full(num_hours, 100.0),
        baseline=np.full(num_hours, 0.25),
        cpa_target=100.0,
        scale=2.0,
        privileged=3,
        life_hours=life_hours,
    )


def test_make_transition_days__reward_by_hand():
    """(3 conversions - 100 spent / 50 a conversion - 0.25 of the baseline) * 2 = 1.5."""
    np.testing.assert_allclose(_make_days(24, 672).rewards, 1.5)


def test_make_transition_days__keeps_the_order_of_hours_and_ends_on_the_next_midnight():
    days = _make_days(50, 48)
    assert days.num_days == 2
    np.testing.assert_array_equal(days.observations[:, 1, 0], np.arange(24, 49))
    np.testing.assert_array_equal(days.observations[:, :, 1:], 0.0)
    np.testing.assert_array_equal(days.actions[:, 1, 0], np.arange(24, 48, dtype=np.float32) / 100)
    np.testing.assert_array_equal(days.terminated, [False, True])


def test_join_days__appends_days():
    joined = join_days([_make_days(24, 24), _make_days(48, 96)])
    np.testing.assert_array_equal(joined.terminated, [True, False, False])
    np.testing.assert_array_equal(joined.observations[0, :, 0], [0, 0, 24])

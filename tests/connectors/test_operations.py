"""From a plan to the writes that are missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.operations import LOWERING, Setting, compute_rank, list_settings, plan_operations, split_budget
from connectors.state import Account, AccountState, AdGroupState, CampaignState
from gaelp_rl.domain.bid_plan import ChannelPlan, PlanStatus
from gaelp_rl.domain.channels import BidKind, Device
from gaelp_rl.errors import PlanError

ACCOUNT = Account("1", "acme", "USD", ZoneInfo("UTC"))
CENT = 10_000
AMOUNTS = st.integers(min_value=0, max_value=50_000).map(lambda cents: cents * CENT)


def make_campaign(name, *, budget=100 * 10**6, bid=10**6, at_group=False, **changes):
    group = AdGroupState(f"g{name}", "ads", PlanStatus.ENABLED, bid, budget if at_group else None, (f"a{name}",))
    campaign = CampaignState(name, "one", PlanStatus.ENABLED, None if at_group else budget, (group,))
    return replace(campaign, **changes)


def make_state(*campaigns):
    return AccountState(ACCOUNT, datetime(2026, 1, 1, tzinfo=UTC), campaigns)


def make_plan(bid=10**6, budget=100 * 10**6, status=PlanStatus.ENABLED, mobile=1.0):
    return ChannelPlan(
        bid_micros=bid,
        kind=BidKind.CPC,
        daily_budget_micros=budget,
        device_modifiers={Device.MOBILE: mobile, Device.DESKTOP: 1.0, Device.TABLET: 1.0},
        status=status,
    )


def apply(state, operations):
    """The account after a platform has taken every operation."""
    done = {op.target: op.intended for op in operations}
    return replace(state, campaigns=tuple(apply_to_campaign(campaign, done) for campaign in state.campaigns))


def apply_to_campaign(campaign, done):
    own = {
        (target.setting, target.ad_group, target.device): value
        for target, value in done.items()
        if target.campaign == campaign.id
    }
    groups = tuple(
        replace(
            group,
            bid_micros=own.get((Setting.BID, group.id, None), group.bid_micros),
            daily_budget_micros=own.get((Setting.DAILY_BUDGET, group.id, None), group.daily_budget_micros),
        )
        for group in campaign.ad_groups
    )
    percents = {device: percent for (_, _, device), percent in own.items() if device is not None}
    return replace(
        campaign,
        status=own.get((Setting.STATUS, "", None), campaign.status),
        daily_budget_micros=own.get((Setting.DAILY_BUDGET, "", None), campaign.daily_budget_micros),
        modifier_percent={**campaign.modifier_percent, **percents},
        ad_groups=groups,
    )


@given(total=st.integers(0, 10**12), weights=st.lists(AMOUNTS, min_size=1, max_size=12))
def test_split_budget__adds_up_to_the_total_in_whole_cents(total, weights):
    parts = split_budget(total, weights, CENT)
    assert sum(parts) == total // CENT * CENT
    assert all(part >= 0 and part % CENT == 0 for part in parts)


@given(total=st.integers(0, 10**12), weights=st.lists(AMOUNTS, min_size=1, max_size=12))
def test_split_budget__of_its_own_result_is_its_result(total, weights):
    """Else every push of the same plan would move cents around for ever."""
    parts = split_budget(total, weights, CENT)
    assert split_budget(total, parts, CENT) == parts


@given(weights=st.lists(AMOUNTS.filter(bool), min_size=1, max_size=8), factor=st.integers(1, 9))
def test_split_budget__keeps_proportions(weights, factor):
    assert split_budget(factor * sum(weights), weights, CENT) == [factor * weight for weight in weights]


@given(
    budgets=st.lists(AMOUNTS, min_size=1, max_size=5),
    bids=st.lists(AMOUNTS, min_size=5, max_size=5),
    at_group=st.booleans(),
    bid=st.integers(CENT, 10**8),
    budget=st.integers(0, 10**9),
    mobile=st.integers(10, 900),
    paused=st.booleans(),
)
def test_plan_operations__reach_the_plan_and_then_end(budgets, bids, at_group, bid, budget, mobile, paused):
    """The same plan twice writes nothing the second time."""
    names = [str(n) for n in range(len(budgets))]
    state = make_state(
        *(
            make_campaign(name, budget=amount, bid=own, at_group=at_group)
            for name, amount, own in zip(names, budgets, bids, strict=False)
        )
    )
    status = PlanStatus.PAUSED if paused else PlanStatus.ENABLED
    plan = make_plan(bid=bid, budget=budget, status=status, mobile=mobile / 100)
    after = apply(state, plan_operations(state, plan, names, device_modifiers=True))
    assert plan_operations(after, plan, names, device_modifiers=True) == []
    if not paused:
        spend = sum(
            value for target, value in list_settings(after.campaigns).items() if target.setting == "daily_budget"
        )
        assert spend == budget // CENT * CENT
        assert all(group.bid_micros == bid // CENT * CENT for c in after.campaigns for group in c.ad_groups)


def test_plan_operations__leave_what_is_not_managed_alone():
    state = make_state(make_campaign("1"), make_campaign("2"))
    operations = plan_operations(state, make_plan(bid=5 * 10**6), ["2"], device_modifiers=True)
    assert {op.target.campaign for op in operations} == {"2"}


def test_plan_operations__of_a_pause_only_pause():
    """Bids and budgets of the day after are nobody's business while nothing runs."""
    state = make_state(make_campaign("1"))
    plan = make_plan(bid=9 * 10**6, budget=1, status=PlanStatus.PAUSED)
    operations = plan_operations(state, plan, ["1"], device_modifiers=True)
    assert [(op.target.setting, op.intended) for op in operations] == [(Setting.STATUS, PlanStatus.PAUSED)]


def test_plan_operations__come_in_the_order_that_never_spends_more():
    state = make_state(
        make_campaign("1", budget=300 * 10**6, bid=3 * 10**6, status=PlanStatus.PAUSED),
        make_campaign("2", budget=100 * 10**6, bid=10**6),
    )
    operations = plan_operations(
        state, make_plan(bid=2 * 10**6, budget=500 * 10**6), ["1", "2"], device_modifiers=False
    )
    ranks = [compute_rank(op) for op in operations]
    assert ranks == sorted(ranks)
    for op in operations:
        lowers = isinstance(op.intended, int) and op.intended < op.previous
        assert (compute_rank(op) <= LOWERING) == lowers
    assert operations[-1].intended is PlanStatus.ENABLED


@pytest.mark.parametrize(
    ("campaign", "managed", "says"),
    [
        (make_campaign("1"), [], "no campaign"),
        (make_campaign("1"), ["7"], "has no campaign 7"),
        (make_campaign("1", ad_groups=()), ["1"], "no ad group"),
        (make_campaign("1", budget_is_shared=True, budget_id="9"), ["1"], "shared budget 9"),
    ],
    ids=["none managed", "unknown", "no ad group", "shared budget"],
)
def test_plan_operations__refuse_accounts_they_cannot_steer(campaign, managed, says):
    with pytest.raises(PlanError, match=says):
        plan_operations(make_state(campaign), make_plan(), managed, device_modifiers=True)


def test_plan_operations__refuse_a_bid_below_a_cent():
    with pytest.raises(PlanError, match="smallest unit"):
        plan_operations(make_state(make_campaign("1")), make_plan(bid=9_999), ["1"], device_modifiers=True)

"""Plan files become plans exactly, and none that breaks a guardrail passes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.settings import GuardrailSettings
from experiments.live_push import check_guardrails, load_plan, make_plan
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.errors import ConfigError, FieldError, PlanError

NOW = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)


def write_plan(folder, bid='"0.1"', budget="20.1", extra=""):
    path = folder / "plan.toml"
    path.write_text("".join(f"[{name}]\nbid = {bid}\ndaily_budget = {budget}\n{extra}\n" for name in CHANNELS))
    return make_plan(load_plan(path), NOW)


def test_plan_file__reads_money_exactly(tmp_path):
    made = write_plan(tmp_path)
    assert {part.daily_budget_micros for part in made.channels.values()} == {20_100_000}
    assert {part.bid_micros for part in made.channels.values()} == {100_000}


def test_plan_file__that_is_too_fine_is_refused(tmp_path):
    with pytest.raises(FieldError, match=r"google\.bid"):
        write_plan(tmp_path, bid='"0.1234567"')


def test_guardrails__count_enabled_channels_only(tmp_path):
    check_guardrails(write_plan(tmp_path, budget="9999", extra='status = "paused"'), GuardrailSettings())
    check_guardrails(write_plan(tmp_path, budget="125"), GuardrailSettings())
    with pytest.raises(PlanError, match=r"budgets of 500\.04 in all; at most 500 are allowed"):
        check_guardrails(write_plan(tmp_path, budget="125.01"), GuardrailSettings())


def test_guardrails__name_every_breach(tmp_path):
    plan = write_plan(tmp_path, bid="21", budget="126")
    with pytest.raises(PlanError) as caught:
        check_guardrails(plan, GuardrailSettings())
    assert str(caught.value).count("bid_too_high: 21 must be at most 20") == len(CHANNELS)
    assert "total_budget_too_high" in str(caught.value)


@pytest.mark.parametrize("changes", [{"daily_budget": 0}, {"max_bid": -1}, {"max_bid": "-"}])
def test_guardrails__that_allow_anything_are_refused(changes, tmp_path):
    with pytest.raises(ConfigError, match=rf"guardrails\.{next(iter(changes))}"):
        check_guardrails(write_plan(tmp_path), GuardrailSettings(**changes))


@given(
    bids=st.lists(st.integers(1, 40_000_000), min_size=4, max_size=4),
    budgets=st.lists(st.integers(0, 400_000_000), min_size=4, max_size=4),
    enabled=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_guardrails__never_let_more_than_the_limits_pass(bids, budgets, enabled, tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    tables = zip(CHANNELS, bids, budgets, enabled, strict=True)
    path.write_text(
        "".join(
            f'[{name}]\nbid = "{bid / 1e6:.6f}"\ndaily_budget = "{budget / 1e6:.6f}"\n'
            f'status = "{"enabled" if on else "paused"}"\n'
            for name, bid, budget, on in tables
        )
    )
    plan = make_plan(load_plan(path), NOW)
    spent = sum(part.daily_budget_micros for part in plan.channels.values() if part.status is PlanStatus.ENABLED)
    low_bid = any(on and bid < 10_000 for bid, on in zip(bids, enabled, strict=True))
    allowed = spent <= 500_000_000 and max(bids) <= 20_000_000 and not low_bid
    if allowed:
        check_guardrails(plan, GuardrailSettings())
    else:
        with pytest.raises(PlanError):
            check_guardrails(plan, GuardrailSettings())

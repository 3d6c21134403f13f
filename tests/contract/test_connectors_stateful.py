"""Any plans, any faults, any pace: every accepted write takes effect once, and reports add up to the market."""

from __future__ import annotations

from dataclasses import replace

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from connectors.operations import list_settings
from connectors.push import Outcome
from connectors.reports import parse_reports
from connectors.sandbox.faults import Fault, FaultKind, FaultScript
from connectors.sandbox.servers import SandboxServers
from experiments.benchmark_push import find_differences
from gaelp_rl.domain.assembly import ReportAssembler
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.platform_rules import PLATFORM_RULES, make_reporting_profile
from gaelp_rl.errors import GaelpError
from tests.sandbox import CHANNEL_PLATFORMS, connect, make_plan, make_world, whole_window

WRITE_FAULTS = (
    FaultKind.THROTTLE,
    FaultKind.SERVER_ERROR,
    FaultKind.AUTH_EXPIRED,
    FaultKind.TIMEOUT_BEFORE,
    FaultKind.TIMEOUT_AFTER,
    FaultKind.REORDER,
    FaultKind.BREAK,
    FaultKind.PARTIAL,
    FaultKind.DUPLICATE,
)
READ_FAULTS = (
    FaultKind.THROTTLE,
    FaultKind.SERVER_ERROR,
    FaultKind.TIMEOUT_BEFORE,
    FaultKind.BREAK,
    FaultKind.LATE_ROWS,
    FaultKind.UNFINISHED_ROWS,
    FaultKind.DUPLICATE_ROWS,
    FaultKind.EMPTY_PAGE,
)
CHANCE = st.sampled_from([0.0, 0.1, 0.3, 0.6])
CENTS = st.integers(min_value=5, max_value=900)


class LiveMarket(RuleBasedStateMachine):
    platform: str

    @initialize()
    def open_account(self) -> None:
        self.servers = SandboxServers(make_world(2), [self.platform], plaintext=True)
        self.servers.__enter__()
        self.world = self.servers.world
        self.account = self.world.accounts[Channel(self.platform)]
        self.connector = connect(self.servers, self.platform)
        self.receipts = []
        profile = make_reporting_profile()
        day = self.world.start.date()
        self.assembler = ReportAssembler(self.account.id, "USD", self.account.time_zone, day, profile)
        self.reported = 0

    @rule(
        kinds=st.lists(st.sampled_from(WRITE_FAULTS), max_size=3),
        read_kind=st.sampled_from(READ_FAULTS),
        chance=CHANCE,
        seed=st.integers(0, 99),
    )
    def script(self, kinds, read_kind, chance, seed) -> None:
        share = chance / max(len(kinds), 1)
        common = {"wait_s": 0.0, "stall_s": 0.0}
        faults = [Fault(kind=kind, calls="write", probability=share, **common) for kind in kinds]
        faults += [Fault(kind=read_kind, calls=calls, probability=chance / 3, **common) for calls in ("read", "report")]
        self.servers.injector.set_script(FaultScript(seed=seed, faults=tuple(faults)))

    @rule(bid=CENTS, budget=st.integers(min_value=1_000, max_value=30_000), paused=st.booleans())
    def push(self, bid, budget, paused) -> None:
        status = PlanStatus.PAUSED if paused and bid % 3 == 0 else PlanStatus.ENABLED
        change = lambda plan: replace(  # noqa: E731
            plan, bid_micros=bid * 10_000, daily_budget_micros=budget * 10_000, status=status
        )
        try:
            self.receipts += self.connector.push(make_plan(self.world, change), dry_run=False).receipts
        except GaelpError:
            return  # the account could not be read, so nothing was sent

    @rule(hours=st.integers(min_value=1, max_value=30))
    def advance(self, hours) -> None:
        self.world.advance(hours)

    @precondition(lambda self: self.world.hour > 3)
    @rule()
    def read(self) -> None:
        try:
            fetched = self.connector.fetch_reports(whole_window(self.world))
        except GaelpError:
            return
        parsed = parse_reports(fetched)
        rows = parsed.accepted if self.platform != "meta" else ()
        for batch in self.assembler.assemble(rows, self.world.now, fetched.shares):
            self.reported += int(batch.spend_micros.sum())

    @invariant()
    def every_accepted_write_took_effect_once(self) -> None:
        if not hasattr(self, "account") or any(r.outcome is Outcome.UNKNOWN for r in self.receipts):
            return
        assert find_differences(self.receipts, self.account) == (0, 0)

    @invariant()
    def refusals_say_why(self) -> None:
        for receipt in getattr(self, "receipts", ()):
            assert receipt.reason or receipt.outcome is Outcome.ACCEPTED

    def teardown(self) -> None:
        if not hasattr(self, "servers"):
            return
        try:
            self._settle()
        finally:
            self.connector.close()
            self.servers.stop()

    def _settle(self) -> None:
        """Once the faults are over, a push ends as planned and reports are whole, whatever came before."""
        self.servers.injector.set_script(FaultScript())
        last = self.connector.push(make_plan(self.world), dry_run=False)
        assert {receipt.outcome for receipt in last.receipts} <= {Outcome.ACCEPTED}
        held = list_settings(self.connector.fetch_state().campaigns)
        assert all(held[receipt.operation.target] == receipt.operation.intended for receipt in last.receipts)
        self.world.advance(4)
        self.read()
        hours = self.world.hour - PLATFORM_RULES[Channel(self.platform)].lag_hours
        c = CHANNELS.index(Channel(self.platform))
        spent = sum(int(hour.spend_micros[:, c].sum()) for hour in self.world.history[:hours])
        assert self.reported == (0 if self.platform == "meta" else spent)


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_live_market__keeps_its_books_under_any_faults(platform):
    settings = hypothesis.settings(max_examples=8, stateful_step_count=12, deadline=None)
    machine = type(f"LiveMarketOf{platform.title()}", (LiveMarket,), {"platform": platform})
    run_state_machine_as_test(machine, settings=settings)

"""Pushing a plan: desired against observed, absolute writes, every doubt settled by reading back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Protocol

from connectors.calls import Caller
from connectors.capabilities import Capabilities
from connectors.operations import LOWERING, Operation, Setting, Target, compute_rank, list_settings, plan_operations
from connectors.state import AccountState
from gaelp_rl.domain.bid_plan import ChannelPlan, PlanStatus
from gaelp_rl.errors import ConnectorError, RefusedError, UnknownOutcomeError

__all__ = ["Applied", "Outcome", "PushResult", "Receipt", "Writer", "push_plan"]


class Outcome(StrEnum):
    """What became of an operation."""

    CHECKED = "checked"
    """Dry run: nothing was written, and nothing speaks against it."""
    ACCEPTED = "accepted"
    """Written, and read back."""
    REFUSED = "refused"
    """Not written; the reason is said."""
    UNKNOWN = "unknown"
    """Sent, and reading back failed as well."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one operation.

    Attributes:
        operation: what was to be written.
        outcome: see ``Outcome``.
        reason: why it was refused or is unknown; empty otherwise.
        request_id: the platform's id of the last request that carried it.
        attempts: how many requests carried it.
    """

    operation: Operation
    outcome: Outcome
    reason: str = ""
    request_id: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Applied:
    """A platform's answer about one operation of a call: no error means that it was applied."""

    request_id: str = ""
    error: ConnectorError | None = None


@dataclass(frozen=True, slots=True)
class PushResult:
    """What became of a plan on one platform.

    Attributes:
        dry_run: whether nothing was to be written.
        receipts: one per operation, in the order in which they were planned.
        state: the account as last read.
        rounds: how often operations were sent.
    """

    dry_run: bool
    receipts: tuple[Receipt, ...]
    state: AccountState
    rounds: int

    def count(self, outcome: Outcome) -> int:
        """How many operations ended so."""
        return sum(receipt.outcome is outcome for receipt in self.receipts)


class Writer(Protocol):
    """The part of a connector that pushing needs."""

    capabilities: Capabilities
    caller: Caller

    def fetch_state(self) -> AccountState:
        """Reads the account."""
        ...

    def apply(self, operations: Sequence[Operation], *, dry_run: bool) -> list[Applied]:
        """Makes one call that writes operations of one setting; one answer each, in order."""
        ...


def push_plan(
    writer: Writer,
    state: AccountState,
    plan: ChannelPlan,
    managed: Collection[str],
    *,
    dry_run: bool,
    max_rounds: int = 12,
    max_wait_s: float = 600.0,
) -> PushResult:
    """Makes an account do what a plan says, and proves it by reading back.

    Args:
        writer: the platform.
        state: the account as just read.
        plan: what its channel is told.
        managed: ids of the campaigns that may be changed.
        dry_run: check only; write nothing.
        max_rounds: how often what is missing is sent before giving up.
        max_wait_s: waiting, over all rounds, after which no other is begun.

    Returns:
        One receipt per operation; none where the account already did what the plan says.

    Raises:
        PlanError: the plan cannot be carried out on this account.
    """
    capabilities = writer.capabilities
    operations = plan_operations(state, plan, managed, device_modifiers=capabilities.device_modifiers)
    push = _Push(writer, operations, state)
    push.refuse_below_minimum()
    if dry_run:
        push.check()
    else:
        push.run(max_rounds, max_wait_s)
    return PushResult(dry_run, tuple(push.receipts.values()), push.state, push.rounds)


class _Push:
    """The operations of one plan on their way."""

    def __init__(self, writer: Writer, operations: Sequence[Operation], state: AccountState) -> None:
        self._writer = writer
        self.state = state
        self.rounds = 0
        self.receipts = {op.target: Receipt(op, Outcome.UNKNOWN, "not sent yet") for op in operations}
        self._open: dict[Target, Operation] = {op.target: op for op in operations}

    def refuse_below_minimum(self) -> None:
        """Refuses amounts that the platform would: they are not worth a call."""
        if self.state.account.currency != "USD":
            return
        for target, op in list(self._open.items()):
            least = self._writer.capabilities.minimum_micros.get(target.setting, 0)
            if isinstance(op.intended, int) and op.intended < least:
                self._settle(target, Outcome.REFUSED, f"{op.intended} micros are below the platform's least, {least}")

    def check(self) -> None:
        """The dry run: the platform's own check where it has one."""
        for batch in self._list_batches(list(self._open.values())):
            if self._writer.capabilities.dry_run:
                self._send(batch, dry_run=True)
            for op in batch:
                if op.target in self._open and self.receipts[op.target].outcome is not Outcome.REFUSED:
                    self._settle(op.target, Outcome.CHECKED)

    def run(self, max_rounds: int, max_wait_s: float) -> None:
        """Sends what is missing, reads back, and again until nothing is missing or patience ends."""
        end = self._writer.caller.waited_s + max_wait_s
        while self._open and self.rounds < max_rounds and self._writer.caller.waited_s <= end:
            self.rounds += 1
            self._send_round()
            try:
                self.state = self._writer.fetch_state()
            except ConnectorError as error:
                self._doubt(f"reading back failed: {error}")
                continue
            self._settle_by(list_settings(self.state.campaigns))
        for target in list(self._open):
            receipt = self.receipts[target]
            self._settle(target, receipt.outcome, f"{receipt.reason}; gave up after {self.rounds} rounds")

    def _send_round(self) -> None:
        """Sends open operations in order; what raises spend waits until all that lowers it has been taken."""
        for rank, group in groupby(list(self._open.values()), key=compute_rank):
            if rank > LOWERING and self._has_refused_lowering():
                self._hold_back()
                return
            operations = list(group)
            for batch in self._list_batches(operations):
                self._send(batch, dry_run=False)
            if rank <= LOWERING and any(
                op.target in self._open and self.receipts[op.target].reason for op in operations
            ):
                return

    def _has_refused_lowering(self) -> bool:
        return any(
            receipt.outcome is Outcome.REFUSED and compute_rank(receipt.operation) <= LOWERING
            for target, receipt in self.receipts.items()
            if target not in self._open
        )

    def _hold_back(self) -> None:
        """Refuses what would raise spend once something that should lower it was refused."""
        for target, op in list(self._open.items()):
            if compute_rank(op) > LOWERING:
                self._settle(target, Outcome.REFUSED, "held back: what should have lowered spend was refused")

    def _list_batches(self, operations: Sequence[Operation]) -> Iterator[list[Operation]]:
        capabilities = self._writer.capabilities

        def find_call(op: Operation) -> tuple[str, str]:
            setting = op.target.setting
            return setting, op.target.campaign if setting in capabilities.one_campaign_a_call else ""

        for (setting, _), group in groupby(sorted(operations, key=find_call), key=find_call):
            batch, size = list(group), capabilities.batch_size[Setting(setting)]
            for at in range(0, len(batch), size):
                yield batch[at : at + size]

    def _send(self, batch: Sequence[Operation], *, dry_run: bool) -> None:
        writer = self._writer
        for op in batch:
            receipt = self.receipts[op.target]
            self.receipts[op.target] = replace(receipt, attempts=receipt.attempts + 1, reason="")
        try:
            answers = writer.caller.write(lambda: writer.apply(batch, dry_run=dry_run), cost=len(batch))
        except ConnectorError as error:
            answers = [Applied(error.request_id, error)] * len(batch)
        for op, answer in zip(batch, answers, strict=True):
            self._note(op, answer)

    def _note(self, op: Operation, answer: Applied) -> None:
        receipt = replace(self.receipts[op.target], request_id=answer.request_id)
        self.receipts[op.target] = receipt
        if isinstance(answer.error, RefusedError):
            self._settle(op.target, Outcome.REFUSED, str(answer.error))
        elif answer.error is not None:
            unknown = isinstance(answer.error, UnknownOutcomeError)
            outcome = Outcome.UNKNOWN if unknown else Outcome.REFUSED
            self.receipts[op.target] = replace(receipt, outcome=outcome, reason=str(answer.error))

    def _settle_by(self, present: dict[Target, int | PlanStatus]) -> None:
        """Compares with what was read back: equal is accepted, the rest stays open."""
        for target, op in list(self._open.items()):
            if present.get(target) == op.intended:
                self._settle(target, Outcome.ACCEPTED)
            else:
                receipt = self.receipts[target]
                reason = receipt.reason or "the answer was a yes, but reading back shows something else"
                self.receipts[target] = replace(receipt, outcome=Outcome.REFUSED, reason=reason)

    def _doubt(self, reason: str) -> None:
        for target in self._open:
            receipt = self.receipts[target]
            said = f"{receipt.reason}; {reason}" if receipt.reason else reason
            self.receipts[target] = replace(receipt, outcome=Outcome.UNKNOWN, reason=said)

    def _settle(self, target: Target, outcome: Outcome, reason: str = "") -> None:
        self.receipts[target] = replace(self.receipts[target], outcome=outcome, reason=reason)
        self._open.pop(target, None)

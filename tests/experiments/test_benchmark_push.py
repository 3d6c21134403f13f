"""The push benchmark counts what it says it counts; small sizes, real servers."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from connectors.operations import Operation, Setting, Target
from connectors.push import Outcome, Receipt
from connectors.sandbox.account import Change
from experiments.benchmark_push import PushSizes, find_differences, run_push_benchmark
from gaelp_rl.errors import ConnectorError
from tests.sandbox import make_world

TARGET = Target(Setting.BID, "1", "2")


def make_receipts(amounts, outcome=Outcome.ACCEPTED):
    return [Receipt(Operation(TARGET, amount, None), outcome) for amount in amounts]


def live(amounts):
    """An account that went through these bids."""
    account = make_world(1).accounts["google"]
    account.changes = [Change(0, Setting.BID, "1", None, 0, amount) for amount in amounts]
    return account


@pytest.mark.parametrize(
    ("told", "lived", "lost", "twice"),
    [
        ([1, 2, 3], [1, 2, 3], 0, 0),
        ([1, 2, 3], [1, 3], 1, 0),
        ([1, 2], [1, 2, 1, 2], 0, 2),
        ([1, 2], [2, 1], 1, 1),
        ([], [5], 0, 1),
        ([5], [], 1, 0),
    ],
)
def test_differences__are_writes_lost_and_effects_too_many(told, lived, lost, twice):
    assert find_differences(make_receipts(told), live(lived)) == (lost, twice)


@given(amounts=st.lists(st.integers(1, 3), max_size=8), extra=st.integers(0, 8))
def test_differences__see_any_effect_that_was_not_told(amounts, extra):
    lived = [*amounts[:extra], 9, *amounts[extra:]]
    assert find_differences(make_receipts(amounts), live(lived)) == (0, 1)


def test_refused_writes__count_only_when_they_took_effect():
    assert find_differences(make_receipts([1], Outcome.REFUSED), live([])) == (0, 0)
    assert find_differences(make_receipts([1], Outcome.REFUSED), live([1])) == (0, 1)


def test_push_benchmark__ends_with_every_write_once(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    sizes = PushSizes(writes=40, campaigns=2, timeout_s=0.3)
    tallies = run_push_benchmark(sizes, tmp_path, console)
    assert sum(tally.operations for tally in tallies) >= 40
    assert all((tally.lost, tally.twice, tally.unknown) == (0, 0, 0) for tally in tallies)
    written = json.loads((tmp_path / "push.json").read_text())
    assert [channel["channel"] for channel in written["channels"]] == ["google", "meta", "tiktok", "microsoft"]
    assert "Struck:" in console.file.getvalue()


def test_push_benchmark__fails_loudly_when_a_write_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.benchmark_push.find_differences", lambda receipts, account: (1, 0))
    with pytest.raises(ConnectorError, match="4 writes were lost"):
        run_push_benchmark(PushSizes(writes=4, campaigns=1, timeout_s=0.3), tmp_path, Console(file=io.StringIO()))

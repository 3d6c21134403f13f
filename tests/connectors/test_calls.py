"""Patience: what is repeated, how long it is waited, and that quotas hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.calls import Caller, QuotaLimit, RetryPolicy, Timer
from gaelp_rl.errors import AuthError, RateLimitedError, RefusedError, TransientError, UnknownOutcomeError

TRANSIENT = TransientError("p", "503", "busy")
UNKNOWN = UnknownOutcomeError("p", "timeout", "no answer")
REFUSED = RefusedError("p", "100", "no")
AUTH = AuthError("p", "401", "expired")


class FakeTime:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def timer(self) -> Timer:
        return Timer(lambda: self.now, self.sleep)


def answer_after(*errors):
    """A call that fails with each error in turn, then answers."""
    left = list(errors)

    def call():
        if left:
            raise left.pop(0)
        return "answer"

    return call


@pytest.mark.parametrize("error", [TRANSIENT, UNKNOWN, RateLimitedError("p", "429", "slow", 1.0)], ids=repr)
def test_read__repeats_what_may_pass(error):
    caller = Caller("p", timer=FakeTime().timer())
    assert caller.read(answer_after(error, error)) == "answer"
    assert (caller.num_calls, caller.num_retries) == (3, 2)


def test_write__is_not_repeated_when_it_may_have_been_applied():
    """Only reading back can tell; the push does that."""
    caller = Caller("p", timer=FakeTime().timer())
    with pytest.raises(UnknownOutcomeError):
        caller.write(answer_after(UNKNOWN))
    assert caller.num_calls == 1


def test_write__is_repeated_when_nothing_was_written():
    caller = Caller("p", timer=FakeTime().timer())
    assert caller.write(answer_after(TRANSIENT, RateLimitedError("p", "429", "slow", 1.0))) == "answer"


@pytest.mark.parametrize("act", ["read", "write"])
def test_call__is_not_repeated_when_it_was_refused(act):
    caller = Caller("p", timer=FakeTime().timer())
    with pytest.raises(RefusedError):
        getattr(caller, act)(answer_after(REFUSED))
    assert caller.num_calls == 1


def test_call__gives_up_after_its_attempts_with_the_last_error():
    caller = Caller("p", policy=RetryPolicy(max_attempts=3), timer=FakeTime().timer())
    with pytest.raises(TransientError):
        caller.read(answer_after(*[TRANSIENT] * 9))
    assert caller.num_calls == 3


def test_call__waits_as_long_as_it_is_asked_to():
    time = FakeTime()
    Caller("p", timer=time.timer()).read(answer_after(RateLimitedError("p", "429", "slow", 42.0)))
    assert 42.0 <= time.now <= 42.25


def test_call__passes_on_a_wait_that_is_too_long():
    """An hour is the loop's to wait, not the call's."""
    caller = Caller("p", policy=RetryPolicy(max_wait_s=90.0), timer=FakeTime().timer())
    with pytest.raises(RateLimitedError) as caught:
        caller.read(answer_after(RateLimitedError("p", "quota", "used up", 3600.0)))
    assert caught.value.wait_s == 3600.0
    assert caller.num_calls == 1


def test_call__does_not_wait_for_ever_in_all():
    time = FakeTime()
    caller = Caller("p", policy=RetryPolicy(max_total_wait_s=180.0), timer=time.timer())
    with pytest.raises(RateLimitedError):
        caller.read(answer_after(*[RateLimitedError("p", "429", "slow", 60.0)] * 9))
    assert time.now <= 180.0


def test_backoff__grows_and_is_capped():
    time = FakeTime()
    policy = RetryPolicy(max_attempts=12, base_s=1.0, cap_s=8.0)
    with pytest.raises(TransientError):
        Caller("p", policy=policy, timer=time.timer()).read(answer_after(*[TRANSIENT] * 20))
    limits = [min(2.0**n, 8.0) for n in range(11)]
    assert all(0.0 <= wait <= limit for wait, limit in zip(time.waits, limits, strict=True))


def test_expired_token__is_renewed_once_a_call():
    renewals = []
    caller = Caller("p", timer=FakeTime().timer(), refresh=lambda: renewals.append(1))
    assert caller.read(answer_after(AUTH)) == "answer"
    with pytest.raises(AuthError):
        caller.read(answer_after(AUTH, AUTH))
    assert len(renewals) == 2


def test_expired_token__without_renewal_is_an_error():
    with pytest.raises(AuthError):
        Caller("p", timer=FakeTime().timer()).read(answer_after(AUTH))


@given(
    costs=st.lists(st.floats(0.5, 5.0), min_size=1, max_size=40),
    amount=st.integers(5, 20),
    window=st.floats(0.5, 30.0),
)
def test_quota__is_never_exceeded_in_any_window(costs, amount, window):
    time, made = FakeTime(), []
    caller = Caller("p", [QuotaLimit("q", amount, window)], timer=time.timer())
    for cost in costs:
        caller.read(lambda cost=cost: made.append((time.now, cost)), cost)
        time.now += 0.01
    for moment, _ in made:
        used = sum(cost for at, cost in made if moment - window + 1e-6 < at <= moment)
        assert used <= amount + 1e-9


def test_quota__that_would_keep_a_call_too_long_says_which():
    caller = Caller("p", [QuotaLimit("operations a day", 1, 86_400.0)], timer=FakeTime().timer())
    caller.read(answer_after())
    with pytest.raises(RateLimitedError, match="1 of 1 units of operations a day are used"):
        caller.read(answer_after())


def test_quota_use__forgets_what_is_past():
    time = FakeTime()
    caller = Caller("p", [QuotaLimit("q", 10, 60.0)], timer=time.timer())
    caller.read(answer_after(), 3.0)
    assert caller.list_quota_use()[0].used == 3.0
    time.now = 61.0
    assert caller.list_quota_use()[0].used == 0.0

"""Following a job: no character twice, and no Ctrl-C lost."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from deploy.cluster.jobs import _Interrupt, _Output


def test_output__passes_each_character_once_over_connections_that_break():
    """Every new connection starts at the first character: "abc", cut; then "ab", "cde"."""
    passed: list[str] = []
    output = _Output(passed.append)
    for pieces in (["abc"], ["ab", "cde"]):
        output.rewind()
        for piece in pieces:
            output.take(piece)
    assert "".join(passed) == "abcde"


def test_interrupt__that_another_error_swallowed_is_raised_again():
    """As when a connection breaks while asyncio cancels the task: its own error replaces the interrupt."""
    before = signal.getsignal(signal.SIGINT)
    with _Interrupt() as interrupt:
        interrupt.check()
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
    assert signal.getsignal(signal.SIGINT) is before

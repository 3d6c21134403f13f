"""Following a job: no character twice, and no Ctrl-C lost."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from deploy.cluster.jobs import JobClient, _Interrupt, _Output
from deploy.cluster.target import find_target
from tests.deploy.cluster.faulty_head import LOG


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


@pytest.mark.integration
def test_follow__goes_on_where_a_connection_broke(start_faulty_head):
    """Through Ray's own client: the log arrives whole, and what came before the cut only once."""
    folder, _ = start_faulty_head("--cut")
    printed: list[str] = []
    client = JobClient(find_target(None, folder))
    assert client.follow("sprint-1", printed.append) == 0
    assert len(printed) == 2
    assert "".join(printed) == LOG

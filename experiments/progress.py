"""Progress of long work: a live bar with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["WorkProgress", "make_console"]

_LINE_EVERY_S = 15.0
_MIN_SHARE = 0.01


def make_console() -> Console:
    """A console that never cuts a table's numbers, whatever it is piped into."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 120))


class WorkProgress:
    """One piece of work with a known size.

    Args:
        console: where to show it.
        title: what is being done.
        total: its size, in whatever ``update`` counts.
    """

    def __init__(self, console: Console, title: str, total: int) -> None:
        self._console, self._title, self._total = console, title, max(total, 1)
        self._started = self._last_line = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=False,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(title, total=self._total, note="")

    def __enter__(self) -> Self:
        """Shows it."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves it as it stands."""
        self._progress.stop()

    def update(self, completed: int, note: str = "") -> None:
        """Moves to ``completed``; the note says what can be seen so far."""
        self._progress.update(self._task, completed=completed, note=note)
        now = time.monotonic()
        if self._console.is_terminal or now - self._last_line < _LINE_EVERY_S:
            return
        self._last_line = now
        share = completed / self._total
        left = f", {(now - self._started) * (1.0 / share - 1.0):.0f} s left" if share > _MIN_SHARE else ""
        self._console.print(f"{self._title}: {100.0 * share:.0f} %{left} {note}".rstrip())

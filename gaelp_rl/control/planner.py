"""The seam between a market's reports and whoever decides: the Planner protocol."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.plans import PlanBatch

__all__ = ["Planner"]


@runtime_checkable
class Planner(Protocol):
    """Decides the plan of the coming hour from reports alone; one object for many worlds.

    Attributes:
        name: the name under which tables and ``gaelp evaluate --policy`` know it.
    """

    name: str

    def reset(self, ledger: ReportLedger) -> None:
        """Forgets everything and starts on a fresh ledger (hour 0, initial plan recorded)."""
        ...

    def plan(self, ledger: ReportLedger) -> PlanBatch:
        """Makes the plan for hour ``ledger.hour``; called once for every hour, in order.

        Args:
            ledger: every report up to now, the plan in force, and nothing else.

        Returns:
            The plan wanted. The change limits of the platforms are applied to it afterwards, the
            same for every planner (``gaelp_rl.control.change_limits``).
        """
        ...

"""The one shape of every connector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from connectors.calls import Caller
from connectors.capabilities import Capabilities
from connectors.hours import ReportWindow
from connectors.push import PushResult
from connectors.reports import FetchedReports
from connectors.state import Account, AccountState
from gaelp_rl.domain.bid_plan import BidPlan

__all__ = ["CheckResult", "Connector"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What ``check`` found.

    Attributes:
        account: the account that the credentials reach.
        permissions: what they allow, in the platform's words.
        can_write: whether bids and budgets may be changed.
        notes: what the user should know.
    """

    account: Account
    permissions: tuple[str, ...]
    can_write: bool
    notes: tuple[str, ...] = ()


@runtime_checkable
class Connector(Protocol):
    """A live market: reports come out, a plan goes in.

    Every method raises only ``GaelpError``: ``ConnectorError`` and its kinds for what the platform
    answers, ``PlanError`` and ``ConfigError`` for what it is asked.

    Attributes:
        capabilities: what the platform can do.
        caller: retries and quotas of its calls.
    """

    capabilities: Capabilities
    caller: Caller

    def check(self) -> CheckResult:
        """Verifies credentials, permissions and account; writes nothing."""
        ...

    def fetch_state(self) -> AccountState:
        """Reads account, campaigns, ad groups, ads, present bids and budgets."""
        ...

    def fetch_reports(self, window: ReportWindow) -> FetchedReports:
        """Reads all that is reported about the hours of a window, to the last page."""
        ...

    def push(self, plan: BidPlan, *, dry_run: bool = True) -> PushResult:
        """Makes the account's managed campaigns do what the plan says; by default only checks."""
        ...

    def close(self) -> None:
        """Lets go of connections."""
        ...

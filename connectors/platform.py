"""What all connectors do alike: push under the write mode, clean messages, tell the time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

from connectors.calls import Caller, QuotaLimit, RetryPolicy, Timer
from connectors.capabilities import Capabilities
from connectors.credentials import Credentials
from connectors.hours import ReportWindow
from connectors.operations import Operation
from connectors.protocol import CheckResult
from connectors.push import Applied, PushResult, push_plan
from connectors.redaction import Redactor
from connectors.reports import FetchedReports
from connectors.settings import PlatformSettings, WriteMode, check_write_mode
from connectors.state import AccountState
from gaelp_rl.domain.bid_plan import BidPlan
from gaelp_rl.errors import ConfigError, ConnectorError, PlanError

__all__ = ["Clock", "PlatformConnector", "read_clock"]

_Answer = TypeVar("_Answer")

Clock = Callable[[], datetime]
"""Now, aware UTC."""


def read_clock() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class PlatformConnector(ABC):
    """The base of every connector; see ``connectors.protocol.Connector``."""

    capabilities: Capabilities
    quotas: ClassVar[Sequence[QuotaLimit]] = ()
    loggers: ClassVar[Sequence[str]] = ("urllib3.connectionpool", "http.client")
    sdk_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    """Everything that a call through the SDK may raise."""

    def __init__(
        self,
        settings: PlatformSettings,
        credentials: Credentials,
        *,
        writes: WriteMode = WriteMode.DRY_RUN,
        clock: Clock = read_clock,
        policy: RetryPolicy | None = None,
        timer: Timer | None = None,
    ) -> None:
        """Checks settings and opens nothing yet.

        Args:
            settings: which account, which campaigns, where.
            credentials: of the platform.
            writes: what ``push`` may do.
            clock: now; a sandbox has its own.
            policy: patience of calls.
            timer: what waits are measured by.

        Raises:
            ConfigError: no account, or writes that the endpoint does not allow.
        """
        platform = self.capabilities.platform
        if not settings.account:
            msg = f"{platform}: no account: set account in the [{platform}] table of connectors.toml"
            raise ConfigError(msg)
        check_write_mode(platform, settings, writes)
        self._writes = writes
        self._managed = settings.managed_campaigns
        self._clock = clock
        self.redactor = Redactor(credentials.list_secrets())
        self.redactor.guard_loggers(*self.loggers)
        self.caller = Caller(platform, self.quotas, policy, timer, refresh=self.renew)

    @abstractmethod
    def check(self) -> CheckResult:
        """Verifies credentials, permissions and account; writes nothing."""

    @abstractmethod
    def fetch_state(self) -> AccountState:
        """Reads account, campaigns, ad groups, ads, present bids and budgets."""

    @abstractmethod
    def fetch_reports(self, window: ReportWindow) -> FetchedReports:
        """Reads all that is reported about the hours of a window, to the last page."""

    @abstractmethod
    def apply(self, operations: Sequence[Operation], *, dry_run: bool) -> list[Applied]:
        """Makes one call that writes operations of one setting; one answer each, in order."""

    @abstractmethod
    def map_error(self, error: BaseException, *, writes: bool) -> ConnectorError:
        """Turns an exception of the SDK into ours; ``writes`` where the call would have changed something."""

    def guard(self, call: Callable[[], _Answer], *, writes: bool = False) -> _Answer:
        """Makes a call through the SDK; none of its exceptions gets past here."""
        try:
            return call()
        except self.sdk_errors as error:
            raise self.map_error(error, writes=writes) from None

    def renew(self) -> None:  # noqa: B027 - most SDKs renew their access tokens themselves
        """Renews an expired access token where the SDK does not."""

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Lets go of connections."""

    def push(self, plan: BidPlan, *, dry_run: bool = True) -> PushResult:
        """Makes the managed campaigns do what the plan says; see ``push_plan``.

        Raises:
            PlanError: the platform takes no plans, or the plan is in another currency.
            ConfigError: writing was asked for and the connector was not made for it.
        """
        capabilities = self.capabilities
        if capabilities.channel is None:
            msg = f"{capabilities.platform} only reports: it has no bids to set"
            raise PlanError(msg)
        if not dry_run and self._writes is WriteMode.DRY_RUN:
            msg = f"{capabilities.platform}: this connector may not write: make it with writes=SANDBOX or LIVE"
            raise ConfigError(msg)
        state = self.fetch_state()
        if plan.currency != state.account.currency:
            msg = f"the plan is in {plan.currency}, the {capabilities.platform} account in {state.account.currency}"
            raise PlanError(msg)
        return push_plan(self, state, plan.channels[capabilities.channel], self._managed, dry_run=dry_run)

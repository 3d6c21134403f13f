"""``gaelp push``: a plan from a file, to live accounts or the sandbox, with a receipt per write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import Field
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from connectors.credentials import SecretSource
from connectors.money import make_decimal
from connectors.operations import Setting
from connectors.push import Outcome, PushResult
from connectors.registry import fetch_clock, make_connector
from connectors.settings import ConnectorsConfig, GuardrailSettings, WriteMode
from experiments.progress import make_console
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.domain.bid_plan import BidPlan, ChannelPlan, PlanStatus
from gaelp_rl.domain.channels import CHANNEL_BID_KIND, CHANNELS, Device
from gaelp_rl.domain.money import Micros
from gaelp_rl.domain.numbers import parse_money_micros
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import make_plan_batch
from gaelp_rl.errors import ConfigError, GaelpError, PlanError
from gaelp_rl.guardrails.checks import PlanLimits, find_violations

__all__ = ["ChannelFile", "PlanFile", "check_guardrails", "load_plan", "make_plan", "render_receipts", "run_push"]

_MAX_SHOWN = 40


class ChannelFile(StrictModel):
    """One channel's table.

    Attributes:
        bid: currency units per click, as text or number.
        daily_budget: currency units, over all managed campaigns.
        status: ``enabled`` or ``paused``.
        modifiers: factors on the bid by device.
    """

    bid: str | float | int
    daily_budget: str | float | int
    status: PlanStatus = PlanStatus.ENABLED
    modifiers: dict[Device, float] = Field(default_factory=dict)


class PlanFile(StrictModel):
    """A plan as TOML: ``currency`` and a table for every channel.

    Attributes:
        currency: ISO 4217 code.
        google: its channel.
        meta: its channel.
        tiktok: its channel.
        microsoft: its channel.
    """

    currency: str = "USD"
    google: ChannelFile
    meta: ChannelFile
    tiktok: ChannelFile
    microsoft: ChannelFile


def load_plan(path: Path) -> PlanFile:
    """Reads a plan.

    Raises:
        ConfigError: the file is no plan; it names every key that is wrong.
    """
    return load_config(PlanFile, path)


def make_plan(plan: PlanFile, now: datetime) -> BidPlan:
    """The file as a plan for the hour after ``now``.

    Raises:
        PlanError: it cannot be carried out; it names channel and field.
        FieldError: an amount is none.
    """
    channels = {}
    for channel in CHANNELS:
        part: ChannelFile = getattr(plan, channel.value)
        channels[channel] = ChannelPlan(
            bid_micros=parse_money_micros(f"{channel}.bid", part.bid) or 0,
            kind=CHANNEL_BID_KIND[channel],
            daily_budget_micros=parse_money_micros(f"{channel}.daily_budget", part.daily_budget) or 0,
            device_modifiers={device: part.modifiers.get(device, 1.0) for device in Device},
            status=part.status,
        )
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return BidPlan("file", now.astimezone(UTC), hour + timedelta(hours=1), plan.currency, channels)


def run_push(
    config: ConnectorsConfig,
    names: Sequence[str],
    plan: PlanFile,
    mode: WriteMode,
    console: Console | None = None,
    source: SecretSource | None = None,
) -> bool:
    """Pushes a plan to platforms one after another, and shows every receipt that is not simply accepted.

    Args:
        config: accounts and managed campaigns.
        names: platforms.
        plan: what to do.
        mode: a dry run, the sandbox, or live.
        console: where tables go.
        source: where secrets are; this process's environment if not given.

    Returns:
        Whether all that was planned was checked or accepted.

    Raises:
        PlanError: the plan breaks a guardrail; nothing was written, not even in part.
    """
    console = console or make_console()
    now = fetch_clock(config.clock, 10.0) if config.clock else datetime.now(UTC)
    bid_plan = make_plan(plan, now)
    check_guardrails(bid_plan, config.guardrails)
    good = True
    for name in names:
        try:
            connector = make_connector(name, config, source or SecretSource.of_process(), writes=mode)
            try:
                with console.status(f"pushing to {name}"):
                    result = connector.push(bid_plan, dry_run=mode is WriteMode.DRY_RUN)
            finally:
                connector.close()
        except GaelpError as error:
            good = False
            console.print(f"{name}: FAILED: {error}", markup=False, highlight=False)
            continue
        console.print(render_receipts(name, result))
        good &= all(receipt.outcome in {Outcome.CHECKED, Outcome.ACCEPTED} for receipt in result.receipts)
    if mode is WriteMode.DRY_RUN:
        console.print("A dry run: nothing was written.")
    return good


def check_guardrails(plan: BidPlan, guardrails: GuardrailSettings) -> None:
    """Refuses a plan that no account may be given.

    Raises:
        PlanError: it lists every limit that is broken, by channel.
    """
    if plan.currency != guardrails.currency:
        msg = (
            f"the plan is in {plan.currency}, the [guardrails] in {guardrails.currency}: set their currency and amounts"
        )
        raise PlanError(msg)
    budget = _parse_amount("daily_budget", guardrails.daily_budget)
    limits = PlanLimits(
        max_bid_micros=_parse_amount("max_bid", guardrails.max_bid),
        max_device_modifier=guardrails.max_device_modifier,
        max_total_budget_ratio=1.0,
    )
    objective = Objective(daily_budget_micros=budget, currency=guardrails.currency)
    violations = find_violations(make_plan_batch(plan), objective, limits)
    if violations:
        shown = "".join(f"\n  {found.channel or 'all channels'}: {found.rule}: {found.message}" for found in violations)
        msg = f"the plan breaks guardrails, so nothing was written:{shown}\nChange the plan, or the [guardrails]."
        raise PlanError(msg)


def _parse_amount(name: str, raw: object) -> Micros:
    amount = parse_money_micros(f"guardrails.{name}", raw)
    if not amount or amount < 0:
        msg = f"guardrails.{name} is {raw!r}; it must be an amount above 0"
        raise ConfigError(msg)
    return amount


def render_receipts(name: str, result: PushResult) -> Table:
    """What became of every operation; long lists are cut, and say so."""
    counts = Counter(receipt.outcome for receipt in result.receipts)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing to change"
    table = Table(title=f"{name}: {summary}", box=SIMPLE_HEAD, title_justify="left", caption_justify="left")
    for heading in ("what", "from", "to", "outcome", "why"):
        table.add_column(heading)
    for receipt in result.receipts[:_MAX_SHOWN]:
        op = receipt.operation
        before, after = (_describe(op.target.setting, amount) for amount in (op.previous, op.intended))
        table.add_row(str(op.target), before, after, receipt.outcome, receipt.reason)
    if len(result.receipts) > _MAX_SHOWN:
        table.caption = f"and {len(result.receipts) - _MAX_SHOWN} more"
    return table


def _describe(setting: Setting, amount: int | PlanStatus | None) -> str:
    """Money in currency units, modifiers in per cent."""
    if amount is None or isinstance(amount, PlanStatus):
        return amount or "unset"
    return f"{amount} %" if setting is Setting.DEVICE_MODIFIER else f"{make_decimal(amount):,.2f}"

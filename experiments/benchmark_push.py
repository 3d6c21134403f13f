"""``gaelp benchmark push``: thousands of writes by the real SDKs while every fault of the script strikes.

What the sandbox's accounts went through is compared with what the receipts say.
"""

from __future__ import annotations

import json
import os
import platform
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from time import monotonic

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from connectors.operations import Setting, Target
from connectors.push import Outcome, Receipt
from connectors.registry import make_connector
from connectors.sandbox.account import SandboxAccount
from connectors.sandbox.faults import Fault, FaultInjector, FaultKind, FaultScript
from connectors.sandbox.servers import SandboxServers
from connectors.sandbox.world import SandboxWorld
from connectors.settings import WriteMode
from experiments.progress import WorkProgress, make_console
from experiments.sandbox_market import SimulatedCampaigns
from gaelp_rl.config.market import DEFAULT_FAMILY, load_family
from gaelp_rl.domain.bid_plan import BidPlan, ChannelPlan, PlanStatus
from gaelp_rl.domain.channels import CHANNEL_BID_KIND, CHANNELS, DEVICES, Channel
from gaelp_rl.domain.money import MICROS
from gaelp_rl.errors import ConnectorError

__all__ = [
    "PushSizes",
    "PushTally",
    "find_differences",
    "make_benchmark_world",
    "run_push_benchmark",
    "write_figures",
]

_FIRST_DAY = date(2026, 11, 2)
_CHANCES = {
    FaultKind.THROTTLE: 0.10,
    FaultKind.SERVER_ERROR: 0.05,
    FaultKind.TIMEOUT_AFTER: 0.05,
    FaultKind.TIMEOUT_BEFORE: 0.05,
    FaultKind.PARTIAL: 0.05,
    FaultKind.DUPLICATE: 0.02,
    FaultKind.REORDER: 0.02,
}


@dataclass(frozen=True, slots=True)
class PushSizes:
    """How much is pushed.

    Attributes:
        writes: operations in all, at least.
        campaigns: on each channel.
        timeout_s: after which a client gives up waiting; servers stall a little longer.
        seed: of plans and faults.
    """

    writes: int = 10_000
    campaigns: int = 50
    timeout_s: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PushTally:
    """What became of one channel's operations.

    Attributes:
        channel: whose.
        operations: receipts.
        accepted: among them.
        refused: among them.
        unknown: among them.
        lost: accepted, but the account never changed so.
        twice: changes of the account that no receipt accounts for.
        calls: requests, reads and repetitions included.
        retries: among them.
        seconds: from the first push to the last.
    """

    channel: str
    operations: int
    accepted: int
    refused: int
    unknown: int
    lost: int
    twice: int
    calls: int
    retries: int
    seconds: float


def make_benchmark_world(campaigns: int, hours: int, seed: int = 0) -> SandboxWorld:
    """Accounts of the default family that have run for some hours."""
    world = SandboxWorld(SimulatedCampaigns(load_family(DEFAULT_FAMILY), campaigns, seed), _FIRST_DAY)
    world.advance(hours)
    return world


def run_push_benchmark(sizes: PushSizes, out: Path, console: Console | None = None) -> list[PushTally]:
    """Pushes plan after plan to all channels at once under faults, and prints what became of every write.

    Args:
        sizes: how much.
        out: folder of ``push.json``.
        console: where the table goes.

    Returns:
        One tally per channel.

    Raises:
        ConnectorError: an accepted write was lost, one took effect twice, or one ended unknown.
    """
    console = console or make_console()
    faults = tuple(
        Fault(kind=kind, calls="write", probability=chance, wait_s=0.02, stall_s=1.5 * sizes.timeout_s)
        for kind, chance in _CHANCES.items()
    )
    injector = FaultInjector(FaultScript(seed=sizes.seed, faults=faults))
    world = make_benchmark_world(sizes.campaigns, 1, sizes.seed)
    servers = SandboxServers(
        world, [channel.value for channel in CHANNELS], injector=injector, timeout_s=sizes.timeout_s
    )
    with servers, WorkProgress(console, "pushing", sizes.writes) as progress, ThreadPoolExecutor(4) as pool:
        pushes = [pool.submit(_push_channel, servers, channel, sizes, progress) for channel in CHANNELS]
        tallies = [push.result() for push in pushes]
    console.print(_render_push(tallies, injector))
    write_figures(out, "push", {"sizes": asdict(sizes), "channels": [asdict(tally) for tally in tallies]})
    bad = sum(tally.lost + tally.twice + tally.unknown for tally in tallies)
    if bad:
        message = f"{bad} writes were lost, took effect twice or ended unknown: see {out / 'push.json'}"
        raise ConnectorError("sandbox", "push", message)
    return tallies


def _push_channel(servers: SandboxServers, channel: Channel, sizes: PushSizes, progress: WorkProgress) -> PushTally:
    """Plans until the channel's share of writes is reached: settings per plan differ between platforms."""
    connector = make_connector(channel.value, servers.config, servers.make_source(), writes=WriteMode.SANDBOX)
    rng = np.random.default_rng([sizes.seed, CHANNELS.index(channel)])
    receipts: list[Receipt] = []
    started = monotonic()
    try:
        while len(receipts) < sizes.writes / len(CHANNELS):
            plan = _sample_plan(rng, sizes.campaigns, servers.world.now)
            receipts += connector.push(plan, dry_run=False).receipts
            progress.update(min(len(receipts) * len(CHANNELS), sizes.writes), channel.value)
    finally:
        connector.close()
    lost, twice = find_differences(receipts, servers.world.accounts[channel])
    count = {outcome: sum(receipt.outcome is outcome for receipt in receipts) for outcome in Outcome}
    return PushTally(
        channel=channel.value,
        operations=len(receipts),
        accepted=count[Outcome.ACCEPTED],
        refused=count[Outcome.REFUSED],
        unknown=count[Outcome.UNKNOWN],
        lost=lost,
        twice=twice,
        calls=connector.caller.num_calls,
        retries=connector.caller.num_retries,
        seconds=monotonic() - started,
    )


def find_differences(receipts: list[Receipt], account: SandboxAccount) -> tuple[int, int]:
    """Compares receipts with what an account went through.

    Args:
        receipts: of all pushes, in order.
        account: the truth.

    Returns:
        Accepted writes that never took effect, and effects that no accepted write accounts for. Both
        are 0 exactly where every accepted write took effect once, in order, and no other did.
    """
    told: defaultdict[tuple[object, ...], list[object]] = defaultdict(list)
    lived: defaultdict[tuple[object, ...], list[object]] = defaultdict(list)
    for receipt in receipts:
        if receipt.outcome is Outcome.ACCEPTED:
            told[_name(receipt.operation.target)].append(receipt.operation.intended)
    for change in account.changes:
        lived[change.setting, change.campaign, change.device].append(change.after)
    lost = twice = 0
    for place in told.keys() | lived.keys():
        common = _count_in_order(told[place], lived[place])
        lost += len(told[place]) - common
        twice += len(lived[place]) - common
    return lost, twice


def _sample_plan(rng: np.random.Generator, campaigns: int, now: datetime) -> BidPlan:
    """Bids, budgets and modifiers that differ from plan to plan; sometimes a pause."""
    status = PlanStatus.PAUSED if rng.random() < 0.1 else PlanStatus.ENABLED
    channels = {}
    for channel in CHANNELS:
        bid = int(rng.integers(50, 500)) * MICROS // 100
        budget = campaigns * int(rng.integers(3_000, 20_000)) * MICROS // 100
        modifiers = {device: int(rng.integers(50, 200)) / 100 for device in DEVICES}
        channels[channel] = ChannelPlan(
            bid_micros=bid,
            kind=CHANNEL_BID_KIND[channel],
            daily_budget_micros=budget,
            device_modifiers=modifiers,
            status=status,
        )
    return BidPlan("sandbox", now, now, "USD", channels)


def _name(target: Target) -> tuple[Setting, str, object]:
    return target.setting, target.campaign, target.device


def _count_in_order(told: list[object], lived: list[object]) -> int:
    """The longest common subsequence: what happened as told."""
    if told == lived:
        return len(told)
    best = [0] * (len(lived) + 1)
    for one in told:
        diagonal = 0
        for at, other in enumerate(lived, start=1):
            diagonal, best[at] = best[at], diagonal + 1 if one == other else max(best[at], best[at - 1])
    return best[-1]


def _render_push(tallies: list[PushTally], injector: FaultInjector) -> Table:
    struck = ", ".join(f"{count} {kind.value.replace('_', ' ')}" for kind, count in sorted(injector.injected.items()))
    table = Table(title="Writes under faults", caption=f"Struck: {struck}", box=SIMPLE_HEAD, title_justify="left")
    table.caption_justify = "left"
    table.add_column("channel")
    for heading in ("writes", "accepted", "refused", "unknown", "lost", "twice", "calls", "retries", "s"):
        table.add_column(heading, justify="right")
    for tally in tallies:
        row = asdict(tally)
        counts = [f"{row[name]:,}" for name in list(row)[1:-1]]
        table.add_row(tally.channel, *counts, f"{tally.seconds:.0f}")
    return table


def write_figures(out: Path, name: str, content: Mapping[str, object]) -> None:
    """Writes what a benchmark measured, and on what, as ``NAME.json``."""
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "measured_at": datetime.now(UTC).isoformat()}
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps({**machine, **content}, indent=2) + "\n", encoding="utf-8")

"""``gaelp benchmark faults``: what kills and refusing disks cost, against what they may cost.

Real processes, real SIGKILLs, real file systems; about a quarter of an hour on two quiet cores.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from experiments.disk_drills import DISK_FAULTS, can_mount, drill_disk
from experiments.fault_drills import Drill, drill_driver_kills, drill_runner_kills
from experiments.progress import WorkProgress
from gaelp_rl.errors import CheckpointError

__all__ = ["FAULTS", "FaultSizes", "render_drills", "run_fault_campaign"]

FAULTS = "faults"
"""Name of the benchmark."""

_CUT_OFF = "cut off"


@dataclass(frozen=True, slots=True)
class FaultSizes:
    """How much is broken.

    Attributes:
        driver_kills: of a sprint, each followed by a resume.
        runner_kills: of single env runners; then all are killed at once.
        runners: env runners that sample.
        disk_faults: keys of ``DISK_FAULTS``.
        seed: of moments and victims.
    """

    driver_kills: int = 20
    runner_kills: int = 10
    runners: int = 3
    disk_faults: tuple[str, ...] = tuple(DISK_FAULTS)
    seed: int = 0


def run_fault_campaign(sizes: FaultSizes, out: Path, console: Console) -> list[Drill]:
    """Runs every drill, prints a table and writes ``<out>/faults.json``.

    Disk faults that need a mount are left out, and said to be, where mounting is not permitted.

    Args:
        sizes: how much is broken.
        out: folder of the JSON file.
        console: where progress and the table go.

    Raises:
        CheckpointError: training did not survive something, or lost more than it may; all is printed first.
    """
    faults = [fault for fault in sizes.disk_faults if fault == _CUT_OFF or can_mount()]
    left_out = sorted(set(sizes.disk_faults) - set(faults))
    drills: list[Drill] = []
    total = sizes.driver_kills + sizes.runner_kills + sizes.runners + len(faults)
    with tempfile.TemporaryDirectory() as name, WorkProgress(console, "breaking things", total) as progress:
        folder, before = Path(name), 0

        def note(done: int) -> None:
            progress.update(before + done)

        if sizes.driver_kills:
            drills.append(drill_driver_kills(folder / "driver", sizes.driver_kills, sizes.seed, note))
            before = sizes.driver_kills
            _write_json(out, sizes, drills, left_out)
        if sizes.runner_kills:
            drills.append(drill_runner_kills(sizes.runner_kills, sizes.runners, sizes.seed, note))
            before += sizes.runner_kills + sizes.runners
            _write_json(out, sizes, drills, left_out)
        for fault in faults:
            drills.append(drill_disk(folder / "disk", fault, note))
            before += 1
    console.print(render_drills(drills))
    for drill in drills:
        for line in (*drill.notes, *(f"FAILED: {failure}" for failure in drill.failures)):
            console.print(f"{drill.name}: {line}")
    if left_out:
        console.print(f"left out, since this process may not mount file systems: {', '.join(left_out)}")
    console.print(f"written to {_write_json(out, sizes, drills, left_out)}")
    failed = [drill.name for drill in drills if drill.failures]
    if failed:
        raise CheckpointError(f"training does not survive {', '.join(failed)} as it must: see the lines above")
    return drills


def render_drills(drills: list[Drill]) -> Table:
    """One row per drill."""
    table = Table(title=f"Faults · {platform.machine()}, {os.cpu_count()} cores", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("fault")
    for heading in ("trials", "seed", "failures", "recovery p50", "p95", "max", "most lost", "bound"):
        table.add_column(heading, justify="right", no_wrap=True)
    for drill in drills:
        seconds = [f"{quantile:.1f} s" for quantile in _summarise(drill.recovery_s)] or ["", "", ""]
        lost = [f"{max(drill.lost):,.0f}", f"{drill.bound:,.0f} {drill.unit}"] if drill.lost else ["", ""]
        table.add_row(drill.name, str(drill.trials), str(drill.seed), str(len(drill.failures)), *seconds, *lost)
    return table


def _summarise(recovery_s: list[float]) -> list[float]:
    """Median, 95th percentile and maximum; empty without trials."""
    return [float(np.quantile(recovery_s, q)) for q in (0.5, 0.95, 1.0)] if recovery_s else []


def _write_json(out: Path, sizes: FaultSizes, drills: list[Drill], left_out: list[str]) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    path = out / "faults.json"
    content = {
        "benchmark": "faults",
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "sizes": asdict(sizes),
        "left_out": left_out,
        "drills": [{**asdict(drill), "recovery_p50_p95_max_s": _summarise(drill.recovery_s)} for drill in drills],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path

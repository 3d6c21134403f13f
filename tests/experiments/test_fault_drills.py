"""The drills of ``gaelp benchmark faults``, with few faults each."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from experiments.benchmark_faults import FaultSizes, render_drills, run_fault_campaign
from experiments.disk_drills import drill_disk
from experiments.fault_drills import Drill, check_checkpoints
from gaelp_rl.errors import CheckpointError
from gaelp_rl.training.checkpoint import save_checkpoint


def test_check_checkpoints__finds_the_damaged_one(tmp_path: Path) -> None:
    """The drills' own gate has to be able to fail."""
    save_checkpoint(tmp_path, 1, {"updates": 1})
    (save_checkpoint(tmp_path, 2, {"updates": 2}) / "state.json").write_text("{}")
    (failure,) = check_checkpoints(tmp_path, "kill 3")
    assert failure.startswith("kill 3: ")
    assert "checkpoint-0000000002" in failure


def test_render_drills__shows_quantiles_and_the_worst_loss() -> None:
    """Median, 95th percentile and maximum of 1 to 21 s are 11, 20 and 21."""
    drill = Drill("driver killed", 21, 7, ["one"], [float(n) for n in range(1, 22)], [16.0, 48.0], 64.0, "episodes")
    console = Console(width=160)
    with console.capture() as printed:
        console.print(render_drills([drill]))
    row = next(line for line in printed.get().splitlines() if "driver killed" in line)
    assert " ".join(row.split()) == "driver killed 21 7 1 11.0 s 20.0 s 21.0 s 48 64 episodes"


def test_campaign__that_finds_a_fault_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drill(folder: Path, fault: str, note: object) -> Drill:
        return Drill(f"disk: {fault}", 1, 0, ["a checkpoint was lost"])

    monkeypatch.setattr("experiments.benchmark_faults.drill_disk", drill)
    sizes = FaultSizes(driver_kills=0, runner_kills=0, disk_faults=("cut off",))
    with pytest.raises(CheckpointError, match="disk: cut off"):
        run_fault_campaign(sizes, tmp_path, Console(quiet=True))
    assert "a checkpoint was lost" in (tmp_path / "faults.json").read_text()


@pytest.mark.integration
def test_drill__a_checkpoint_cut_off_while_it_is_written(tmp_path: Path) -> None:
    """By the kernel, in a real sprint: exit code 2, the last checkpoint intact, and training goes on after."""
    drill = drill_disk(tmp_path / "cut", "cut off")
    assert drill.failures == []
    assert "File too large" in drill.notes[-1]

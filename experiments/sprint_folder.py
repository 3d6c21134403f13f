"""Where a sprint keeps what, and what a resumed one reads first."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.console import Console

from experiments.run_record import RunRecord, write_whole
from gaelp_rl.config.sprint import SETTINGS_FILE, SprintConfig, dump_settings
from gaelp_rl.errors import ResourceError
from gaelp_rl.training.checkpoint import find_latest_checkpoint, list_checkpoints

__all__ = ["SprintFolder", "SprintRecord"]


@dataclass
class SprintRecord(RunRecord):
    """What a resumed sprint needs besides its checkpoint.

    Attributes:
        curve: by validation, ``episodes`` and the FHO of every family.
    """

    resume_hint: ClassVar[str] = "--resume latest"

    curve: list[dict[str, float]]


class SprintFolder:
    """Where a sprint keeps what.

    Attributes:
        root: the run's folder.
        checkpoints: training checkpoints.
        snapshots: weights of the newest validations.
        record: the ``SprintRecord``.
        policy: the exported artefact.
        report: the evaluation report.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = root / "checkpoints"
        self.snapshots = root / "snapshots"
        self.record = root / "run.json"
        self.policy = root / "policy"
        self.report = root / "report"

    def start(self, config: SprintConfig, console: Console) -> None:
        """Makes the folder, removes an earlier run's checkpoints and writes the settings.

        Checkpoints are numbered by episodes: those of two runs in one folder would be taken for each other.

        Raises:
            ResourceError: the folder cannot be written.
        """
        if list_checkpoints(self.checkpoints):
            console.print(f"a new run in {self.root}: it replaces the checkpoints of the one before")
        try:
            for folder in (self.checkpoints, self.snapshots):
                if folder.exists():
                    shutil.rmtree(folder)
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"run folder {self.root} cannot be used ({error}): choose another with --out"
            raise ResourceError(msg) from error
        self.save_settings(config)

    def save_settings(self, config: SprintConfig) -> None:
        """Writes the settings, which a resumed run starts from.

        Raises:
            ResourceError: the folder cannot be written.
        """
        try:
            write_whole(self.root / SETTINGS_FILE, dump_settings(config))
        except OSError as error:
            msg = f"run folder {self.root} cannot be written ({error}): free space, or choose another with --out"
            raise ResourceError(msg) from error

    def find_checkpoint(self, resume: str) -> Path:
        """The checkpoint that ``latest`` or a path means.

        Raises:
            CheckpointError: the run has none.
        """
        return find_latest_checkpoint(self.checkpoints) if resume == "latest" else Path(resume)

"""What a resumed run needs besides its checkpoints, as a small JSON file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self

from gaelp_rl.errors import CheckpointError

__all__ = ["RunRecord", "write_whole"]


@dataclass
class RunRecord:
    """MLflow's identifier of a run; subclasses add what they need, of JSON's types.

    Attributes:
        run_id: of the run.
    """

    resume_hint: ClassVar[str] = "--resume"
    """How the run goes on, for messages."""

    run_id: str

    def save(self, path: Path) -> None:
        """Writes it whole or not at all.

        Raises:
            CheckpointError: the disk refuses; the record before is intact.
        """
        try:
            write_whole(path, json.dumps(asdict(self), indent=1))
        except OSError as error:
            msg = f"{path} cannot be written ({error}): free some space, then go on with {self.resume_hint}"
            raise CheckpointError(msg) from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads it.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            msg = f"{path} cannot be read ({error}): there is nothing to resume; start anew without --resume"
            raise CheckpointError(msg) from error


def write_whole(path: Path, text: str) -> None:
    """Replaces a file in one step: a kill leaves the old one or the new one, never a part of it."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)

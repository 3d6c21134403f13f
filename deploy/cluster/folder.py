"""The folder of a local cluster: its token, its state, its log."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from gaelp_rl.config.strict import StrictModel
from gaelp_rl.errors import ResourceError

__all__ = ["DEFAULT_FOLDER", "ClusterFolder", "ClusterState"]

DEFAULT_FOLDER = Path("runs/cluster")
"""Where `gaelp cluster` keeps it, from the working directory."""

_TOKEN_BYTES = 32


class ClusterState(StrictModel):
    """What is known about a head that was started. It names the token's file and never holds the token.

    Attributes:
        cluster_id: the mark that every process of the cluster carries in its environment.
        pid: the process that started all others.
        pids: all processes, when the head became ready.
        port: of the control store (GCS), on 127.0.0.1.
        dashboard_port: of the dashboard and the Jobs API, on 127.0.0.1.
        token_file: absolute path of the token.
        session_folder: where Ray keeps sockets and logs; deleted when it goes down.
        started_at: UTC, ISO 8601.
    """

    cluster_id: str
    pid: int
    pids: tuple[int, ...] = ()
    port: int
    dashboard_port: int
    token_file: Path
    session_folder: Path
    started_at: str

    @property
    def address(self) -> str:
        """URL of the dashboard and the Jobs API."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that any Ray program needs in order to reach this cluster's Jobs API."""
        return {
            "RAY_API_SERVER_ADDRESS": self.address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_file),
        }


class ClusterFolder:
    """Files of one local cluster.

    Args:
        root: the folder; made on the first write, readable by its owner only.

    Attributes:
        root: the folder, absolute.
        token: file of the token, mode 0600.
        state: the ``ClusterState``, as JSON.
        log: what the head printed.
        job_logs: logs of the jobs of clusters that went down.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.token = self.root / "token"
        self.state = self.root / "state.json"
        self.log = self.root / "head.log"
        self.job_logs = self.root / "jobs"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second `up` or `down` in the same folder out.

        Raises:
            ResourceError: one is under way, or the folder cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            lock = (self.root / "lock").open("w", encoding="utf-8")
        except OSError as error:
            raise ResourceError(f"cluster folder {self.root} cannot be written: {error}. Choose another.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                message = f"another `gaelp cluster` command is at work in {self.root}: wait for it, then try again"
                raise ResourceError(message) from None
            yield

    def write_token(self) -> None:
        """Makes a new token of 256 bits, in a file that was never readable by others."""
        self.token.unlink(missing_ok=True)
        handle = os.open(self.token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_TOKEN_BYTES))

    def save(self, state: ClusterState) -> None:
        """Writes the state whole or not at all."""
        partial = self.state.with_suffix(".partial")
        partial.write_text(state.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(self.state)

    def load(self) -> ClusterState | None:
        """The state of the cluster that was started last; None where none was, or it went down in order.

        Raises:
            ResourceError: the file is damaged.
        """
        try:
            return ClusterState.model_validate_json(self.state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as error:
            message = f"{self.state} cannot be read ({error}): see that no Ray of it runs, then delete it"
            raise ResourceError(message) from error

    def forget(self) -> None:
        """Deletes state and token, once nothing runs any more."""
        self.state.unlink(missing_ok=True)
        self.token.unlink(missing_ok=True)

"""Which cluster a command speaks to, and with which token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.cluster.dashboard import Dashboard, check_address, is_loopback
from deploy.cluster.folder import ClusterFolder, ClusterState
from deploy.cluster.head import read_token
from deploy.cluster.processes import find_processes
from gaelp_rl.errors import ConfigError, ResourceError

__all__ = ["ClusterTarget", "find_target", "load_running_cluster"]


@dataclass(frozen=True, slots=True)
class ClusterTarget:
    """A cluster to submit to.

    Attributes:
        address: URL of its dashboard.
        token: the secret; never printed.
        is_local: it is the one that `gaelp cluster up` started in this folder: it shares this disk.
        environment: the variables with which plain ``ray job`` commands reach it; no secret.
    """

    address: str
    token: str
    is_local: bool
    environment: Mapping[str, str]

    @property
    def dashboard(self) -> Dashboard:
        """Its dashboard."""
        return Dashboard(self.address, self.token)

    @property
    def is_open_to_listeners(self) -> bool:
        """Whether token and code travel unencrypted over a network."""
        return self.address.startswith("http://") and not is_loopback(self.address)

    def __repr__(self) -> str:
        """Without the token."""
        return f"ClusterTarget({self.address})"


def load_running_cluster(folder: ClusterFolder) -> ClusterState:
    """The state of the local cluster, which is alive and takes jobs.

    Raises:
        ResourceError: none was started, or it died, or it does not answer.
    """
    state = folder.load()
    if state is None:
        raise ResourceError(f"no cluster runs in {folder.root}: run `gaelp cluster up`, or pass --address URL")
    if not any(process.pid == state.pid for process in find_processes(state.cluster_id)):
        message = f"the cluster's head (process {state.pid}) has died; its log is {folder.log}"
        raise ResourceError(f"{message}. Run `gaelp cluster down`, then `gaelp cluster up`.")
    if not Dashboard(state.address, read_token(state.token_file)).is_ready():
        message = f"the head runs, but {state.address} does not answer; see {folder.log}"
        raise ResourceError(f"{message}. Try again, or run `gaelp cluster down`, then `gaelp cluster up`.")
    return state


def find_target(
    address: str | None, folder: ClusterFolder, environment: Mapping[str, str] = os.environ
) -> ClusterTarget:
    """The cluster that an address names, or else the local one.

    Args:
        address: URL of a dashboard; None means the local cluster.
        folder: of the local cluster.
        environment: where Ray's token variables are looked up for other clusters.

    Returns:
        The cluster.

    Raises:
        ConfigError: the address cannot be used, or no token is found for it.
        ResourceError: the local cluster does not run, or the token cannot be read.
    """
    state = folder.load()
    if address is None or (state is not None and check_address(address) == state.address):
        state = load_running_cluster(folder)
        return ClusterTarget(state.address, read_token(state.token_file), True, state.environment)
    url = check_address(address)
    shown = {"RAY_API_SERVER_ADDRESS": url, "RAY_AUTH_MODE": "token"}
    if environment.get("RAY_AUTH_TOKEN"):
        return ClusterTarget(url, environment["RAY_AUTH_TOKEN"].strip(), False, shown)
    path = Path(environment.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token").absolute()
    if not path.is_file():
        raise ConfigError(
            f"no token for {url}: save the cluster's token in a file that only you can read, and "
            f"export RAY_AUTH_TOKEN_PATH=FILE (looked for {path})"
        )
    return ClusterTarget(url, read_token(path), False, shown | {"RAY_AUTH_TOKEN_PATH": str(path)})

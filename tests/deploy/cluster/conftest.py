from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.cluster.folder import ClusterFolder, ClusterState
from deploy.cluster.head import start_head, stop_head
from deploy.cluster.processes import find_free_port
from deploy.cluster.program import HeadSettings

PROGRAM = Path(__file__).parent / "faulty_head.py"


@pytest.fixture
def start_faulty_head(tmp_path: Path) -> Iterator[Callable[..., tuple[ClusterFolder, ClusterState]]]:
    """Starts a head with a fault in place of Ray's; whatever it left is ended after the test."""
    folder = ClusterFolder(tmp_path / "cluster")

    def start(mode: str, ready_within_s: float = 20.0) -> tuple[ClusterFolder, ClusterState]:
        port = find_free_port()
        with folder.locked():
            settings = HeadSettings(port=0, dashboard_port=port)
            command = [sys.executable, str(PROGRAM), str(port), mode]
            return folder, start_head(folder, settings, command, ready_within_s=ready_within_s)

    yield start
    if (state := folder.load()) is not None:
        stop_head(folder, state)

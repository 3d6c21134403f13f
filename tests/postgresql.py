"""A private PostgreSQL for tests: its own folder, its own port, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "canary-5f0c1e"
"""Unlike any other text: where it turns up, a password was shown."""

_USER = "gaelp"


def find_postgresql() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: on the path, or where Debian keeps the newest."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in installed), key=lambda folder: int(folder.parent.name), default=None)


class PrivatePostgreSQL:
    """One server on loopback, with password authentication.

    Args:
        binaries: folder of PostgreSQL's programs.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        # Not below pytest's own folder, which only its owner may enter: the server refuses to run as root.
        self._root = Path(tempfile.mkdtemp(prefix="gaelp-pg-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        password_file = self._root / "password"
        password_file.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self._root, "postgres")
            shutil.chown(password_file, "postgres")
        self._run("initdb", "-D", self._data, "-U", _USER, "-A", "scram-sha-256", f"--pwfile={password_file}", "-N")
        self.start()

    @property
    def _data(self) -> str:
        return str(self._root / "data")

    def make_url(self, database: str, password: str = PASSWORD) -> str:
        """The URL of a database that may not exist yet."""
        return f"postgresql+psycopg://{_USER}:{password}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str) -> str:
        """Makes an empty database; returns its URL."""
        import psycopg

        url = self.make_url("postgres").replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.make_url(name)

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = f"-c listen_addresses=127.0.0.1 -p {self._port} -k {self._root} -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self._root / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Ends the server and every connection."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def close(self) -> None:
        """Ends the server and deletes its files."""
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        identity: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": ()}
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            **(identity if os.geteuid() == 0 else {}),
            cwd="/",
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        if done.returncode:
            log = self._root / "log"
            raise RuntimeError(f"{program} failed: {done.stdout}{log.read_text() if log.is_file() else ''}")


def serve_postgresql() -> Iterator[PrivatePostgreSQL]:
    """The body of a fixture: a server, or a skip that says what is missing."""
    binaries = find_postgresql()
    if binaries is None:
        missing = (
            "PostgreSQL is not installed, so nothing that needs a real server was tested: apt-get install postgresql"
        )
        warnings.warn(missing, stacklevel=1)
        pytest.skip(missing)
    server = PrivatePostgreSQL(binaries)
    yield server
    server.close()

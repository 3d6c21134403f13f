"""Tokens that a login obtained: one file per platform, for this user's eyes only, replaced whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gaelp_rl.errors import ConfigError

__all__ = ["TokenStore"]


class TokenStore:
    """A folder of token files, 0700, each file 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def of_user(environment: Mapping[str, str]) -> TokenStore:
        """``$GAELP_CREDENTIALS``, or ``gaelp/credentials`` in the user's configuration folder."""
        named = environment.get("GAELP_CREDENTIALS")
        if named:
            return TokenStore(Path(named))
        base = environment.get("XDG_CONFIG_HOME")
        return TokenStore((Path(base) if base else Path.home() / ".config") / "gaelp" / "credentials")

    def locate(self, platform: str) -> Path:
        """The platform's file, whether it exists or not."""
        return self._folder / f"{platform}.json"

    def load(self, platform: str) -> dict[str, str]:
        """What is stored; empty where nothing is.

        Raises:
            ConfigError: the file is readable by others, or is no JSON object of strings.
        """
        path = self.locate(platform)
        try:
            mode = path.stat().st_mode
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            msg = f"{path} cannot be read ({error.__class__.__name__}): run `gaelp login {platform}` again"
            raise ConfigError(msg) from None
        if mode & 0o077:
            msg = (
                f"{path} can be read by others: run `chmod 600 {path}`, and renew the tokens if they may have been seen"
            )
            raise ConfigError(msg)
        if not isinstance(content, dict) or not all(isinstance(token, str) for token in content.values()):
            msg = f"{path} is no file of `gaelp login`: run `gaelp login {platform}` again"
            raise ConfigError(msg)
        return content

    def save(self, platform: str, secrets: Mapping[str, str]) -> Path:
        """Replaces what is stored, atomically and durably: a reader sees the old or the new, never a part.

        Returns:
            The file.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.locate(platform)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=f".{platform}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(dict(secrets), file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path

    @contextmanager
    def locked(self, platform: str) -> Iterator[None]:
        """Lets one process at a time renew a token that each use replaces."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / f".{platform}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

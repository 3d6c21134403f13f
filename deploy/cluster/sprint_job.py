"""The sprint as the command of a Ray job.

A job runs in a temporary copy of the checkout, which is gone afterwards: whatever should stay must be
written to absolute paths or to a server.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gaelp_rl.config.sprint import SprintConfig, load_sprint_config
from gaelp_rl.errors import ConfigError

__all__ = ["SprintJob", "make_sprint_job"]

_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class SprintJob:
    """A sprint to be submitted.

    Attributes:
        arguments: of ``python``, from ``-m`` on.
        python: the interpreter, as the cluster names it.
        config: the settings that it will run with.
    """

    arguments: tuple[str, ...]
    python: str
    config: SprintConfig

    @property
    def entrypoint(self) -> str:
        """The shell command."""
        return shlex.join([self.python, *self.arguments])


def make_sprint_job(
    checkout: Path,
    config_file: Path | None,
    overrides: Sequence[str],
    resume: str | None,
    *,
    is_local: bool,
) -> SprintJob:
    """Checks a sprint's settings here, before it travels, and makes its command.

    Args:
        checkout: what travels.
        config_file: settings, as TOML.
        overrides: ``key=value`` settings, later ones win.
        resume: ``latest``, the path of a checkpoint on the cluster, or None.
        is_local: the job shares this machine's disk. Relative paths then become absolute ones here; elsewhere
            they are refused.

    Returns:
        The job.

    Raises:
        ConfigError: settings cannot be used, would be lost with the job's folder, or would show a secret.
    """
    _check_no_secret(overrides)
    config = load_sprint_config(config_file, overrides, resume if is_local else None)
    if not is_local:
        _check_paths(config)
    paths = _make_paths(config) if is_local else []
    arguments = ["-m", "experiments.sprint"]
    if config_file is not None:
        arguments += ["--config", _place_config(config_file, checkout, is_local=is_local)]
    if resume is not None:
        is_path = is_local and resume != "latest"
        arguments += ["--resume", str(Path(resume).absolute()) if is_path else resume]
    for override in [*overrides, *paths]:
        arguments += ["--set", override]
    return SprintJob(tuple(arguments), sys.executable if is_local else "python", config)


def _check_no_secret(overrides: Sequence[str]) -> None:
    """A job's command can be read by everyone who may read the cluster's job list."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key == "trust.signing_key":
            raise ConfigError(f"--set {key}=... would show the key in the job's command: use trust.signing_key_file")
        if _PASSWORD.search(override):
            raise ConfigError(
                f"--set {key}=... holds a password, which the job's command would show: leave it out of the URL and "
                "give it to the cluster as PGPASSWORD, PGPASSFILE or MLFLOW_TRACKING_PASSWORD "
                "(`gaelp cluster up --pass-env NAME`)"
            )


def _list_written_paths(config: SprintConfig) -> dict[str, Path]:
    tracking = config.tracking
    paths = {"out": config.out}
    if not tracking.tracking_uri:
        paths |= {"tracking.database": tracking.database, "tracking.artifact_root": tracking.artifact_root}
    return paths


def _make_paths(config: SprintConfig) -> list[str]:
    """Overrides that make the paths of a job on this machine absolute."""
    paths = _list_written_paths(config)
    if config.trust.signing_key_file is not None:
        paths["trust.signing_key_file"] = config.trust.signing_key_file
    relative = {key: path for key, path in paths.items() if not path.is_absolute()}
    overrides = [f"{key}={json.dumps(str(path.absolute()))}" for key, path in relative.items()]
    if config.trust.public_key_files:
        keys = [str(path.absolute()) for path in config.trust.public_key_files]
        overrides.append(f"trust.public_key_files={json.dumps(keys)}")
    if any(name.endswith(".toml") for name in config.families):
        names = [str(Path(name).absolute()) if name.endswith(".toml") else name for name in config.families]
        overrides.append(f"families={json.dumps(names)}")
    return overrides


def _check_paths(config: SprintConfig) -> None:
    relative = [key for key, path in _list_written_paths(config).items() if not path.is_absolute()]
    if relative:
        raise ConfigError(
            f"{', '.join(relative)} must be absolute paths on the cluster (a volume that outlives the job): a job's "
            "own folder is deleted after it. Set them, or tracking.tracking_uri for MLflow's part, as "
            "experiments/configs/sprint-cluster.toml does."
        )


def _place_config(config_file: Path, checkout: Path, *, is_local: bool) -> str:
    absolute = config_file.absolute()
    if is_local:
        return str(absolute)
    if not absolute.is_relative_to(checkout):
        raise ConfigError(f"config file {str(config_file)!r} must lie in the checkout {checkout}, which travels")
    return absolute.relative_to(checkout).as_posix()

"""The bootstrap artefact: market, transitions and offline weights, hashed, without pickle.

::

    manifest.json         what it fits, counts, and the sha256 of the other files
    market.toml           the calibrated market
    transitions.npz       whole days as arrays, with the TD errors that order the replay
    weights.safetensors   actor, critics and target critics of the learner
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gaelp_rl.bootstrap.transitions import TransitionDays
from gaelp_rl.errors import ArtifactError
from gaelp_rl.features.schema import Float32Array

__all__ = ["BootstrapArtefact", "BootstrapFit", "check_fit", "load_bootstrap", "save_bootstrap"]

_FORMAT = 1
_MANIFEST, _MARKET = "manifest.json", "market.toml"
_TRANSITIONS, _WEIGHTS = "transitions.npz", "weights.safetensors"
_ARRAYS = ("observations", "actions", "rewards", "costs", "terminated")


@dataclass(frozen=True, slots=True)
class BootstrapFit:
    """What a run must have in common with the artefact that it starts from.

    Attributes:
        schema: hash of the observation schema.
        privileged_features: entries behind the schema's own.
        hidden_sizes: units by hidden layer.
        critic_curvature: of quadratic critics, 0 for plain ones.
        critic_layer_norm: whether critics normalise their layers.
        max_log_bid, max_logit: reach of an action.
        gamma: discount that the critics were trained with.
    """

    schema: str
    privileged_features: int
    hidden_sizes: tuple[int, ...]
    critic_curvature: float
    critic_layer_norm: bool
    max_log_bid: float
    max_logit: float
    gamma: float


@dataclass(frozen=True, slots=True)
class BootstrapArtefact:
    """What a sprint starts from.

    Attributes:
        fit: what a run must have in common with it.
        counts: days, hours and shares, for people.
        market: the calibrated market, TOML.
        days: transitions.
        td_errors: float32 [24, days]; absolute, from the offline critics.
        weights: by name in the learner's module.
        sha256: of the manifest; empty before it is saved.
    """

    fit: BootstrapFit
    counts: Mapping[str, float]
    market: str
    days: TransitionDays
    td_errors: Float32Array
    weights: Mapping[str, NDArray[Any]]
    sha256: str = ""


def save_bootstrap(path: Path, artefact: BootstrapArtefact) -> str:
    """Writes the artefact beside its place, then moves it there; one that is there is replaced.

    Returns:
        The sha256 of its manifest.

    Raises:
        ArtifactError: the disk refuses.
    """
    buffer = io.BytesIO()
    arrays = {name: getattr(artefact.days, name) for name in _ARRAYS}
    np.savez(buffer, **arrays, td_errors=artefact.td_errors)
    weights = {name: np.ascontiguousarray(array) for name, array in artefact.weights.items()}
    files = {_MARKET: artefact.market.encode(), _TRANSITIONS: buffer.getvalue(), _WEIGHTS: save(weights)}
    manifest = json.dumps(
        {
            "format": _FORMAT,
            "fit": asdict(artefact.fit),
            "counts": dict(artefact.counts),
            "files": {name: _hash(content) for name, content in files.items()},
        },
        indent=1,
    ).encode()
    partial = path.with_name(f".{path.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, content in (*files.items(), (_MANIFEST, manifest)):
            (partial / name).write_bytes(content)
        shutil.rmtree(path, ignore_errors=True)
        partial.replace(path)
    except OSError as error:
        msg = f"bootstrap artefact {path} cannot be written ({error}): free some space, or choose another folder"
        raise ArtifactError(msg) from error
    return _hash(manifest)


def load_bootstrap(path: Path) -> BootstrapArtefact:
    """Reads an artefact; every file is hashed before anything in it is used.

    Raises:
        ArtifactError: a file is missing or damaged, or not of this format.
    """
    manifest = _read(path, _MANIFEST)
    try:
        document = json.loads(manifest)
        if document["format"] != _FORMAT:
            msg = f"bootstrap artefact {path} has format {document['format']!r}; this version reads {_FORMAT}"
            raise ArtifactError(msg)
        fit = dict(document["fit"])
        fit["hidden_sizes"] = tuple(fit["hidden_sizes"])
        files = {name: _read_hashed(path, name, document["files"][name]) for name in (_MARKET, _TRANSITIONS, _WEIGHTS)}
        with np.load(io.BytesIO(files[_TRANSITIONS]), allow_pickle=False) as arrays:
            days = TransitionDays(**{name: arrays[name] for name in _ARRAYS})
            td_errors = arrays["td_errors"]
        artefact = BootstrapArtefact(
            BootstrapFit(**fit), document["counts"], files[_MARKET].decode(), days, td_errors, load(files[_WEIGHTS])
        )
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile, SafetensorError) as error:
        msg = f"bootstrap artefact {path} cannot be read ({error}): write it again with gaelp bootstrap"
        raise ArtifactError(msg) from error
    _check_shapes(path, artefact)
    return BootstrapArtefact(
        artefact.fit, artefact.counts, artefact.market, days, td_errors, artefact.weights, _hash(manifest)
    )


def check_fit(found: BootstrapFit, wanted: BootstrapFit) -> None:
    """Refuses an artefact of other sizes, schema or reach.

    Raises:
        ArtifactError: it names what differs, as the artefact has it and as the run needs it.
    """
    ours, theirs = asdict(wanted), asdict(found)
    differing = [f"{name} {theirs[name]!r}, this run {ours[name]!r}" for name in ours if ours[name] != theirs[name]]
    if differing:
        msg = f"the bootstrap artefact has {'; '.join(differing)}: bootstrap again with the run's settings"
        raise ArtifactError(msg)


def _check_shapes(path: Path, artefact: BootstrapArtefact) -> None:
    days = artefact.days
    steps, num_days = days.rewards.shape
    shapes = {
        "observations": (days.observations.shape[:2], (steps + 1, num_days)),
        "actions": (days.actions.shape[:2], (steps, num_days)),
        "costs": (days.costs.shape, (steps, num_days)),
        "terminated": (days.terminated.shape, (num_days,)),
        "td_errors": (artefact.td_errors.shape, (steps, num_days)),
    }
    for name, (found, wanted) in shapes.items():
        if found != wanted:
            msg = f"bootstrap artefact {path}: {name} has shape {found}, rewards need {wanted}: bootstrap again"
            raise ArtifactError(msg)


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        msg = f"bootstrap artefact {path} has no readable {name} ({error}): give a folder that gaelp bootstrap wrote"
        raise ArtifactError(msg) from error


def _read_hashed(path: Path, name: str, sha256: str) -> bytes:
    content = _read(path, name)
    if _hash(content) != sha256:
        msg = f"{path / name} has sha256 {_hash(content)}, its manifest says {sha256}: it was changed; bootstrap again"
        raise ArtifactError(msg)
    return content


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

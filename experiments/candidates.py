"""Which of a run's weights leave it: chosen on validation worlds, never on test worlds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from experiments.validation import Validation, Validator
from gaelp_rl.errors import CheckpointError
from gaelp_rl.features.schema import Float32Array
from gaelp_rl.policy import MlpNetwork

__all__ = [
    "Candidate",
    "ScaledNetwork",
    "choose_candidate",
    "drop_snapshots_after",
    "load_snapshots",
    "save_snapshot",
]

_PREFIX = "episodes-"


@dataclass(frozen=True, slots=True)
class ScaledNetwork:
    """A network whose action is shortened: an action source."""

    network: MlpNetwork
    scale: float

    def act(self, observation: Float32Array) -> NDArray[np.floating]:
        """Actions float32 [worlds, actions]."""
        return self.network.compute_action(observation) * np.float32(self.scale)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network, how much of its action to use, and what validation said of it.

    Attributes:
        name: which snapshot, or ``average``.
        policy: network and scale.
        validation: on the validation worlds.
    """

    name: str
    policy: ScaledNetwork
    validation: Validation


def save_snapshot(folder: Path, episodes: int, network: MlpNetwork, kept: int) -> None:
    """Keeps the weights of a validated policy and drops all but the newest ``kept``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_PREFIX}{episodes:010d}.safetensors"
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(save(network.to_tensors()))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        msg = f"snapshot {path} cannot be written ({error}): free some space, then go on with --resume latest"
        raise CheckpointError(msg) from error
    for old in sorted(folder.glob(f"{_PREFIX}*.safetensors"))[:-kept]:
        old.unlink()


def drop_snapshots_after(folder: Path, episodes: int) -> None:
    """Removes the weights that a run reached after the checkpoint that it goes on from."""
    for path in folder.glob(f"{_PREFIX}*.safetensors"):
        if int(path.stem.removeprefix(_PREFIX)) > episodes:
            path.unlink()


def load_snapshots(folder: Path, layer_sizes: tuple[int, ...]) -> dict[str, MlpNetwork]:
    """The kept snapshots by name, oldest first.

    Raises:
        ArtifactError: a snapshot has other layers.
    """
    networks = {}
    for path in sorted(folder.glob(f"{_PREFIX}*.safetensors")):
        networks[path.stem] = MlpNetwork.from_tensors(load_file(path), layer_sizes)
    return networks


def choose_candidate(
    snapshots: dict[str, MlpNetwork],
    scales: Sequence[float],
    validator: Validator,
    on_candidate: Callable[[int, int, Candidate], None],
) -> Candidate:
    """Validates every snapshot and their average at every scale; the best score wins.

    Args:
        snapshots: networks by name, at least one.
        scales: shares of the action.
        validator: scores on validation worlds.
        on_candidate: called with (candidates so far, candidates in all, the candidate).
    """
    networks = dict(snapshots)
    if len(networks) > 1:
        networks["average"] = _average(list(networks.values()))
    total = len(networks) * len(scales)
    best: Candidate | None = None
    for i, (name, network) in enumerate(networks.items()):
        for j, scale in enumerate(scales):
            policy = ScaledNetwork(network, scale)
            candidate = Candidate(name, policy, validator.validate(policy))
            on_candidate(i * len(scales) + j + 1, total, candidate)
            if best is None or candidate.validation.score > best.validation.score:
                best = candidate
    if best is None:
        msg = "the run has kept no validated weights to choose from: train for at least one validation"
        raise CheckpointError(msg)
    return best


def _average(networks: Sequence[MlpNetwork]) -> MlpNetwork:
    """The mean of the weights (Izmailov et al. 2018, "Averaging weights leads to wider optima")."""
    return MlpNetwork(
        weights=tuple(
            np.mean(parts, axis=0, dtype=np.float32) for parts in zip(*(n.weights for n in networks), strict=True)
        ),
        biases=tuple(
            np.mean(parts, axis=0, dtype=np.float32) for parts in zip(*(n.biases for n in networks), strict=True)
        ),
    )

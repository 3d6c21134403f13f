"""What worlds have lived through, so that another process can live it again and go on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.errors import CheckpointError
from gaelp_rl.features.actions import ACTION_SIZE
from gaelp_rl.features.schema import Float32Array

__all__ = ["WorldLog", "compute_observation_hash"]


def compute_observation_hash(observation: Float32Array) -> str:
    """Sha256 of an observation's bytes, as hex: two worlds at the same point have the same."""
    return hashlib.sha256(np.ascontiguousarray(observation).tobytes()).hexdigest()


class WorldLog:
    """Keys and actions of a batch of worlds since they began.

    Worlds are a function of their keys and of the actions taken, so this is their whole state: 32 bytes
    a world and hour, where market, ledger and beliefs would be thousands.
    """

    def __init__(self) -> None:
        self._keys: NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)
        self._actions: list[Float32Array] = []

    def start(self, keys: NDArray[np.uint64]) -> None:
        """Forgets the worlds before; ``keys`` uint64 [worlds] are those of the new ones."""
        self._keys = keys.copy()
        self._actions.clear()

    def record(self, actions: NDArray[Any]) -> None:
        """Notes an hour's actions, float32 [worlds, 8]."""
        self._actions.append(np.array(actions, dtype=np.float32))

    def get_state(self, observation: Float32Array) -> dict[str, Any]:
        """What ``read`` takes, as arrays and text, with the present observation's hash."""
        hours = np.zeros((len(self._actions), self._keys.size, ACTION_SIZE), dtype=np.float32)
        for hour, actions in enumerate(self._actions):
            hours[hour] = actions
        return {"keys": self._keys.copy(), "actions": hours, "observation": compute_observation_hash(observation)}

    @staticmethod
    def read(state: Mapping[str, Any], worlds: int) -> tuple[NDArray[np.uint64], Iterator[Float32Array], str]:
        """Keys uint64 [worlds], actions hour by hour, and the hash at their end.

        Raises:
            CheckpointError: the state is not one of ``get_state``, or of another number of worlds.
        """
        try:
            keys, actions = np.asarray(state["keys"], dtype=np.uint64), np.asarray(state["actions"], dtype=np.float32)
            expected = str(state["observation"])
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the worlds' state cannot be read ({error!r}): go on with new worlds"
            raise CheckpointError(msg) from error
        if keys.shape != (worlds,) or actions.shape[1:] != (worlds, ACTION_SIZE):
            msg = f"the saved worlds are {keys.size}, this environment has {worlds}: go on with new worlds"
            raise CheckpointError(msg)
        return keys, iter(actions), expected

"""What an env runner hands over: whole days of many worlds as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.errors import DataError

__all__ = ["ArrayFragment", "Float32Array"]

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ArrayFragment:
    """One day of every world of one env runner; T steps, never across a midnight.

    Attributes:
        observations: float32 [T + 1, worlds, features]; the last one is the day's final observation,
            from which a truncated day bootstraps.
        actions: float32 [T, worlds, actions], in [-1, 1].
        rewards: float32 [T, worlds].
        costs: float32 [T, worlds]; constraint costs, zeros where the environment reports none.
        terminated: bool [worlds]; whether the last step ended the world. All other days are truncated.
    """

    observations: Float32Array
    actions: Float32Array
    rewards: Float32Array
    costs: Float32Array
    terminated: NDArray[np.bool_]

    def __post_init__(self) -> None:
        steps, worlds = self.rewards.shape
        expected = {
            "observations": (steps + 1, worlds, self.observations.shape[-1]),
            "actions": (steps, worlds, self.actions.shape[-1]),
            "costs": (steps, worlds),
            "terminated": (worlds,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                msg = (
                    f"fragment {name} has shape {getattr(self, name).shape}; rewards {self.rewards.shape} need {shape}"
                )
                raise DataError(msg)

    @property
    def steps(self) -> int:
        """Environment steps in the fragment, over all worlds."""
        return int(self.rewards.size)

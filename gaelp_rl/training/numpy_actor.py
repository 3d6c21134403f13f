"""The policy of ``PlainSACModule`` in numpy: what a remote env runner acts with, without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gaelp_rl.errors import DataError
from gaelp_rl.training.fragment import Float32Array

__all__ = ["NumpyActor"]


@dataclass(frozen=True, slots=True)
class NumpyActor:
    """Mean and log standard deviation of the action before squashing, from the weights as they are sent.

    Attributes:
        layers: weights float32 [inputs, outputs] and biases [outputs]; ReLU between them. The last one gives
            means and log standard deviations side by side.
        bounds: lowest and highest log standard deviation.
    """

    layers: tuple[tuple[Float32Array, Float32Array], ...]
    bounds: tuple[float, float]

    @classmethod
    def from_module_state(cls, state: Mapping[str, Any], bounds: tuple[float, float]) -> Self:
        """Reads the module's state, arrays by their names in torch.

        Raises:
            DataError: it is not the state of such a policy.
        """
        count = sum(name.startswith("pi_encoder.layers.") and name.endswith(".weight") for name in state)
        names = [*(f"pi_encoder.layers.{layer}" for layer in range(count)), "pi.linear"]
        try:
            layers = tuple((_read(state, f"{name}.weight").T, _read(state, f"{name}.bias")) for name in names)
        except KeyError as error:
            msg = f"the module state lacks {error}; it has {', '.join(sorted(state))}"
            raise DataError(msg) from error
        return cls(tuple((np.ascontiguousarray(weight), bias) for weight, bias in layers), bounds)

    def __call__(self, observation: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Runs the network.

        Args:
            observation: float32 [worlds, features]; features beyond the policy's inputs are the critics'.

        Returns:
            Mean and log standard deviation, float32 [worlds, actions] each.
        """
        hidden = observation[:, : self.layers[0][0].shape[0]]
        for weight, bias in self.layers[:-1]:
            hidden = np.maximum(hidden @ weight + bias, 0.0)
        weight, bias = self.layers[-1]
        mean, log_std = np.split(hidden @ weight + bias, 2, axis=-1)
        return mean, np.clip(log_std, *self.bounds)


def _read(state: Mapping[str, Any], name: str) -> Float32Array:
    return np.asarray(state[name], dtype=np.float32)

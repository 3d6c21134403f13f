"""The inference-only network of a policy: a ReLU perceptron with a tanh output, in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.errors import ArtifactError
from gaelp_rl.features.schema import Float32Array

__all__ = ["MlpNetwork"]


@dataclass(frozen=True, slots=True)
class MlpNetwork:
    """Layers ``h <- relu(h @ weight + bias)``, the last one ``tanh(h @ weight + bias)``.

    Attributes:
        weights: per layer float32 [inputs, outputs]; the transpose of ``torch.nn.Linear.weight``.
        biases: per layer float32 [outputs].
    """

    weights: tuple[Float32Array, ...]
    biases: tuple[Float32Array, ...]

    def __post_init__(self) -> None:
        """Checks that the layers fit each other and hold finite float32.

        Raises:
            ArtifactError: names the layer.
        """
        if not self.weights or len(self.weights) != len(self.biases):
            raise ArtifactError(
                f"a network needs as many biases as weights and at least one layer, not {len(self.biases)} and "
                f"{len(self.weights)}: pass one weight and one bias per layer"
            )
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            _check_layer(index, weight, bias)
        for index, (first, second) in enumerate(pairwise(self.weights)):
            if first.shape[1] != second.shape[0]:
                raise ArtifactError(
                    f"layer {index} gives {first.shape[1]} outputs and layer {index + 1} takes {second.shape[0]} "
                    "inputs: weights are [inputs, outputs]; transpose those of torch.nn.Linear"
                )

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Width of the input, of every hidden layer and of the output."""
        return (self.weights[0].shape[0], *(weight.shape[1] for weight in self.weights))

    def compute_action(self, observation: Float32Array) -> Float32Array:
        """Runs the network.

        Args:
            observation: float32 [worlds, features].

        Returns:
            float32 [worlds, actions] in [-1, 1].
        """
        hidden = observation
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = hidden @ weight
            hidden += bias
            np.maximum(hidden, 0.0, out=hidden)
        return np.asarray(np.tanh(hidden @ self.weights[-1] + self.biases[-1]), dtype=np.float32)

    def to_tensors(self) -> dict[str, Float32Array]:
        """Returns the layers by the names under which ``weights.safetensors`` holds them."""
        tensors: dict[str, Float32Array] = {}
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            tensors[f"layers.{index}.weight"] = np.ascontiguousarray(weight)
            tensors[f"layers.{index}.bias"] = np.ascontiguousarray(bias)
        return tensors

    @staticmethod
    def from_tensors(tensors: Mapping[str, NDArray[np.generic]], layer_sizes: tuple[int, ...]) -> MlpNetwork:
        """Builds the network that a manifest describes.

        Args:
            tensors: arrays by name, as ``to_tensors`` gives them.
            layer_sizes: the widths that the manifest states.

        Returns:
            The network.

        Raises:
            ArtifactError: a tensor is missing, unexpected, of another type or shape, or not finite.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for index, (inputs, outputs) in enumerate(pairwise(layer_sizes)):
            shapes[f"layers.{index}.weight"] = (inputs, outputs)
            shapes[f"layers.{index}.bias"] = (outputs,)
        found = {name: tensor.shape for name, tensor in tensors.items()}
        wrong = sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name))
        if wrong:
            name = wrong[0]
            raise ArtifactError(
                f"tensor {name!r} has shape {found.get(name, 'none')}, but the manifest says "
                f"{shapes.get(name, 'none')}: export the policy again"
            )
        layers = range(len(layer_sizes) - 1)
        return MlpNetwork(
            weights=tuple(_as_float32(tensors[f"layers.{index}.weight"]) for index in layers),
            biases=tuple(_as_float32(tensors[f"layers.{index}.bias"]) for index in layers),
        )


def _as_float32(tensor: NDArray[np.generic]) -> Float32Array:
    if tensor.dtype != np.float32:
        raise ArtifactError(f"weights are {tensor.dtype}, and must be float32: convert them and export again")
    return tensor.astype(np.float32, copy=False)


def _check_layer(index: int, weight: Float32Array, bias: Float32Array) -> None:
    if weight.ndim != 2 or bias.shape != weight.shape[1:]:
        raise ArtifactError(
            f"layer {index} has a weight of shape {weight.shape} and a bias of shape {bias.shape}: "
            "they must be [inputs, outputs] and [outputs]"
        )
    for name, array in (("weight", weight), ("bias", bias)):
        _as_float32(array)
        if not np.isfinite(array).all():
            raise ArtifactError(
                f"layer {index}: its {name} holds {int((~np.isfinite(array)).sum())} non-finite number(s): "
                "training diverged; export an earlier checkpoint"
            )

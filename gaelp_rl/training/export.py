"""What leaves training: the policy's mean network as plain numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner

from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.fragment import Float32Array
from gaelp_rl.training.module import PlainSACModule

__all__ = ["ActorWeights", "compute_actor_action", "extract_actor_weights", "read_actor_weights"]

ActorWeights = list[tuple[Float32Array, Float32Array]]
"""By layer, weights [inputs, outputs] and biases [outputs]."""


def extract_actor_weights(algorithm: FastSAC) -> ActorWeights:
    """The layers behind the deterministic action: ReLU between them, ``tanh`` behind the last.

    Returns:
        By layer, weights float32 [inputs, outputs] and biases float32 [outputs]; of the last layer
        only the means, not the log standard deviations.
    """

    def read(learner: Learner) -> ActorWeights:
        return read_actor_weights(learner.module[DEFAULT_MODULE_ID].unwrapped())

    return next(iter(algorithm.learner_group.foreach_learner(read))).get()


def read_actor_weights(module: PlainSACModule) -> ActorWeights:
    """The same from a module."""
    actions = module.action_space.shape[0]
    layers = [*module.pi_encoder.layers, module.pi.linear]
    arrays = [(layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy()) for layer in layers]
    weight, bias = arrays[-1]
    arrays[-1] = (weight[:, :actions], bias[:actions])
    return [(np.array(one, dtype=np.float32, order="C"), np.array(two, dtype=np.float32)) for one, two in arrays]


def compute_actor_action(
    weights: Sequence[tuple[Float32Array, Float32Array]], observation: Float32Array
) -> Float32Array:
    """The deterministic action of extracted weights.

    Args:
        weights: as from ``extract_actor_weights``.
        observation: float32 [worlds, features].

    Returns:
        float32 [worlds, actions], in (-1, 1).
    """
    hidden = observation
    for weight, bias in weights[:-1]:
        hidden = np.maximum(hidden @ weight + bias, 0.0)
    weight, bias = weights[-1]
    return np.asarray(np.tanh(hidden @ weight + bias), dtype=np.float32)

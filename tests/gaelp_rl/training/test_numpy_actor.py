"""The policy in numpy is the module's in torch."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from gaelp_rl.errors import DataError
from gaelp_rl.training.module import PlainSACModule, make_model_config
from gaelp_rl.training.numpy_actor import NumpyActor

_BOUNDS = (-3.0, -1.0)


def _make_module() -> PlainSACModule:
    """Weights large enough that log standard deviations meet both of their bounds."""
    torch.manual_seed(0)
    module = PlainSACModule(
        observation_space=gym.spaces.Box(-10.0, 10.0, (12,), np.float32),
        action_space=gym.spaces.Box(-1.0, 1.0, (3,), np.float32),
        model_config=make_model_config(
            hidden_sizes=(16, 8), log_std_min=_BOUNDS[0], log_std_max=_BOUNDS[1], privileged_features=4
        ),
    )
    with torch.no_grad():
        for parameter in module.pi.parameters():
            parameter.normal_(0.0, 3.0)
        module.pi.linear.bias[3:] = torch.tensor([-6.0, 2.0, -2.0])
    return module


def test_actor__gives_what_the_module_gives() -> None:
    module = _make_module()
    observation = np.random.default_rng(0).normal(size=(64, 12)).astype(np.float32)
    with torch.inference_mode():
        outputs = module.forward_inference({Columns.OBS: torch.from_numpy(observation)})
    wanted = outputs[Columns.ACTION_DIST_INPUTS].numpy()
    mean, log_std = NumpyActor.from_module_state(module.get_state(inference_only=True), _BOUNDS)(observation)
    np.testing.assert_allclose(np.hstack([mean, log_std]), wanted, rtol=1e-5, atol=1e-6)
    assert (log_std == _BOUNDS[0]).any()
    assert (log_std == _BOUNDS[1]).any()


def test_actor__does_not_read_what_only_critics_may() -> None:
    actor = NumpyActor.from_module_state(_make_module().get_state(inference_only=True), _BOUNDS)
    observation = np.ones((2, 12), dtype=np.float32)
    observation[1, 8:] = 7.0
    mean, _ = actor(observation)
    np.testing.assert_array_equal(mean[0], mean[1])


def test_actor__a_state_without_its_layers_is_named() -> None:
    with pytest.raises(DataError, match=r"lacks 'pi.linear.weight'; it has pi_encoder.layers.0.bias"):
        NumpyActor.from_module_state(
            {"pi_encoder.layers.0.weight": np.ones((2, 2)), "pi_encoder.layers.0.bias": np.ones(2)}, _BOUNDS
        )

"""The numpy policy is the torch policy."""

from __future__ import annotations

import numpy as np
import torch
from ray.rllib.core.columns import Columns

from gaelp_rl.training.export import compute_actor_action, read_actor_weights
from tests.gaelp_rl.training.learner_fixtures import ACTIONS, FEATURES, make_module_spec


def test_export__numpy_forward_equals_the_module() -> None:
    module = make_module_spec().build()
    torch.nn.init.normal_(module.pi.linear.weight)
    observation = np.random.default_rng(0).normal(size=(500, FEATURES)).astype(np.float32)
    logits = module.forward_inference({Columns.OBS: torch.from_numpy(observation)})[Columns.ACTION_DIST_INPUTS]
    expected = module.get_inference_action_dist_cls().from_logits(logits).to_deterministic().sample()
    weights = read_actor_weights(module)
    assert [w.shape for w, _ in weights] == [(FEATURES, 16), (16, 8), (8, ACTIONS)]
    np.testing.assert_allclose(compute_actor_action(weights, observation), expected.detach(), atol=1e-5)

"""The plain networks start where they must and speak RLlib's language."""

from __future__ import annotations

import numpy as np
import torch
from ray.rllib.core.columns import Columns

from tests.gaelp_rl.training.learner_fixtures import ACTIONS, FEATURES, make_module_spec


def test_module__starts_at_action_zero_with_the_given_noise() -> None:
    module = make_module_spec(initial_log_std=-1.5).build()
    observation = torch.randn(64, FEATURES) * 10.0
    outputs = module.forward_inference({Columns.OBS: observation})[Columns.ACTION_DIST_INPUTS]
    np.testing.assert_array_equal(outputs[:, :ACTIONS].detach(), 0.0)
    np.testing.assert_array_equal(outputs[:, ACTIONS:].detach(), -1.5)


def test_module__log_std_stays_within_its_clamps() -> None:
    module = make_module_spec(log_std_min=-3.0, log_std_max=-1.0).build()
    torch.nn.init.normal_(module.pi.linear.weight, std=10.0)
    outputs = module.forward_exploration({Columns.OBS: torch.randn(64, FEATURES)})[Columns.ACTION_DIST_INPUTS]
    log_std = outputs[:, ACTIONS:]
    assert log_std.min() == -3.0
    assert log_std.max() == -1.0


def test_module__deterministic_action_is_the_squashed_mean() -> None:
    """RLlib's own squashed Gaussian returns the mean before squashing here."""
    distribution = make_module_spec().build().get_inference_action_dist_cls()
    logits = torch.tensor([[0.5, -2.0, -1.0, -1.0]])
    action = distribution.from_logits(logits).to_deterministic().sample()
    np.testing.assert_allclose(action, np.tanh([[0.5, -2.0]]), rtol=1e-6)


def test_module__for_inference_has_no_critics() -> None:
    spec = make_module_spec()
    spec.inference_only = True
    names = {name.split(".")[0] for name, _ in spec.build().named_parameters()}
    assert names == {"pi_encoder", "pi"}


def test_module__layer_norm_ignores_the_scale_of_its_inputs() -> None:
    """Without biases a normalised critic gives the same value for a scaled input; a plain one does not."""
    for normalised in (True, False):
        module = make_module_spec(critic_layer_norm=normalised).build()
        with torch.no_grad():
            for layer in module.qf_encoder.layers:
                layer.bias.zero_()
            batch = {Columns.OBS: torch.randn(8, FEATURES), Columns.ACTIONS: torch.randn(8, ACTIONS)}
            scaled = {name: 3.0 * column for name, column in batch.items()}
            one, two = (module.qf(module.qf_encoder(inputs)["encoder_out"]) for inputs in (batch, scaled))
        assert torch.allclose(one, two, atol=1e-3) == normalised

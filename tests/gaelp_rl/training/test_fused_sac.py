"""The fused losses against RLlib's own, and against formulas written out one number at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.sac.torch.sac_torch_learner import SACTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID

from gaelp_rl.training.fused_sac import SACBatch, compute_squashed_sample
from gaelp_rl.training.learner import FastSACLearner
from tests.gaelp_rl.training.learner_fixtures import ACTIONS, BATCH, make_learner, make_module_spec, sample_batch

_GROUPS = {
    "qf": (("qf_encoder", "qf"), ("qf_twin_encoder", "qf_twin")),
    "policy": (("pi_encoder", "pi"),),
}


def _make_twins(**model: Any) -> tuple[Any, Any]:
    """RLlib's learner and ours with equal, non-trivial weights."""
    stock, ours = (make_learner(kind, make_module_spec(**model)) for kind in (SACTorchLearner, FastSACLearner))
    module = stock.module[DEFAULT_MODULE_ID]
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)
    ours.module[DEFAULT_MODULE_ID].load_state_dict(module.state_dict())
    return stock, ours


def _to_tensors(seed: int = 0) -> tuple[SACBatch, dict[str, torch.Tensor]]:
    batch = sample_batch(seed)
    ours = SACBatch(
        *(
            torch.from_numpy(array)
            for array in (
                batch.observations,
                batch.next_observations,
                batch.actions,
                batch.rewards,
                batch.discounts,
                batch.weights,
            )
        )
    )
    stock = {
        "obs": ours.observations,
        "new_obs": ours.next_observations,
        "actions": ours.actions,
        "rewards": ours.rewards,
        "weights": ours.weights,
        "terminateds": ours.discounts == 0.0,
        "n_step": torch.ones(BATCH),
    }
    return ours, stock


def _draw_like_stock(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The noise that RLlib's forward pass draws after ``torch.manual_seed(seed)``, in its order."""
    torch.manual_seed(seed)
    shape = (BATCH, ACTIONS)
    return torch.normal(torch.zeros(shape), torch.ones(shape)), torch.normal(torch.zeros(shape), torch.ones(shape))


def _join(module: Any, networks: tuple[tuple[str, ...], ...], gradients: Any) -> torch.Tensor:
    """Gradients in the order of the flat vector: parameter by parameter, networks side by side."""
    by_network = [[p for part in parts for p in getattr(module, part).parameters()] for parts in networks]
    return torch.cat([gradients[p].reshape(-1) for group in zip(*by_network, strict=True) for p in group])


@pytest.mark.parametrize("layer_norm", [False, True])
def test_fused_sac__losses_and_gradients_equal_stock_rllib(layer_norm: bool) -> None:
    """One fused backward pass for stacked critics gives what four separate ones give in RLlib."""
    stock, ours = _make_twins(critic_layer_norm=layer_norm)
    batch, stock_batch = _to_tensors()
    torch.manual_seed(7)
    outputs = stock.module.forward_train({DEFAULT_MODULE_ID: stock_batch})
    total = stock.compute_losses(fwd_out=outputs, batch={DEFAULT_MODULE_ID: stock_batch})
    losses = ours._sac.compute_losses(batch, *_draw_like_stock(7), with_actor=True)
    expected = {key[1]: loss for key, loss in stock._temp_losses.items()}
    torch.testing.assert_close(losses.critic, expected["qf_loss"] + expected["qf_twin_loss"])
    torch.testing.assert_close(losses.actor, expected["policy_loss"])
    td_errors = stock.metrics.peek((DEFAULT_MODULE_ID, "td_error"))[0]
    torch.testing.assert_close(losses.td_errors, torch.as_tensor(td_errors))
    gradients = stock.compute_gradients(total)
    losses.critic.backward()
    losses.actor.backward()
    for name, networks in _GROUPS.items():
        wanted = _join(stock.module[DEFAULT_MODULE_ID], networks, gradients)
        torch.testing.assert_close(ours._flat[name].flat.grad, wanted, rtol=1e-4, atol=1e-6)


def test_fused_sac__a_whole_update_equals_stock_rllib() -> None:
    """Adam, temperature and targets included: parameters agree after three updates."""
    stock, ours = _make_twins()
    for step in range(3):
        batch, stock_batch = _to_tensors(step)
        torch.manual_seed(step)
        stock._update({DEFAULT_MODULE_ID: stock_batch})
        stock.after_gradient_based_update(timesteps={"num_env_steps_sampled_lifetime": step})
        noise = torch.stack(_draw_like_stock(step))
        _update_with(ours, batch, noise)
    for (name, one), (_, two) in zip(
        stock.module[DEFAULT_MODULE_ID].state_dict().items(),
        ours.module[DEFAULT_MODULE_ID].state_dict().items(),
        strict=True,
    ):
        torch.testing.assert_close(two, one, rtol=1e-3, atol=2e-5, msg=name)
    torch.testing.assert_close(ours.curr_log_alpha[DEFAULT_MODULE_ID], stock.curr_log_alpha[DEFAULT_MODULE_ID])


def _update_with(learner: Any, batch: SACBatch, noise: torch.Tensor) -> None:
    original = torch.randn
    torch.randn = lambda *_args, **_kwargs: noise
    try:
        learner._update_once(
            {
                "obs": batch.observations,
                "new_obs": batch.next_observations,
                "actions": batch.actions,
                "rewards": batch.rewards,
                "discounts": batch.discounts,
                "weights": batch.weights,
            }
        )
    finally:
        torch.randn = original


def test_fused_sac__losses_equal_the_formulas() -> None:
    """Origin: Haarnoja et al. 2018, eq. 5 to 9, in numpy float64, one transition at a time."""
    _, ours = _make_twins()
    ours._sac.action_penalty = 0.7
    batch, _ = _to_tensors(3)
    noise, next_noise = _draw_like_stock(5)
    losses = ours._sac.compute_losses(batch, noise, next_noise, with_actor=True)
    weights = {n: p.numpy().astype(np.float64) for n, p in ours.module[DEFAULT_MODULE_ID].state_dict().items()}
    alpha = 0.2
    critic = actor = 0.0
    for i in range(BATCH):
        next_action, next_logp, _ = _policy(weights, batch.next_observations[i].numpy(), next_noise[i].numpy())
        next_q = min(
            _critic(weights, f"target_{q}", batch.next_observations[i].numpy(), next_action) for q in ("qf", "qf_twin")
        )
        target = batch.rewards[i].item() + batch.discounts[i].item() * (next_q - alpha * next_logp)
        for q in ("qf", "qf_twin"):
            error = abs(_critic(weights, q, batch.observations[i].numpy(), batch.actions[i].numpy()) - target)
            huber = 0.5 * error**2 if error <= 1.0 else error - 0.5
            critic += batch.weights[i].item() * huber / BATCH
        action, logp, mean = _policy(weights, batch.observations[i].numpy(), noise[i].numpy())
        q_min = min(_critic(weights, q, batch.observations[i].numpy(), action) for q in ("qf", "qf_twin"))
        actor += (alpha * logp - q_min + 0.7 * np.square(np.tanh(mean)).sum()) / BATCH
    assert losses.critic.item() == pytest.approx(critic, rel=1e-4)
    assert losses.actor is not None
    assert losses.actor.item() == pytest.approx(actor, rel=1e-4)


def _policy(weights: Any, observation: Any, noise: Any) -> tuple[Any, float, Any]:
    hidden = observation
    for layer in range(2):
        hidden = np.maximum(
            weights[f"pi_encoder.layers.{layer}.weight"] @ hidden + weights[f"pi_encoder.layers.{layer}.bias"], 0.0
        )
    out = weights["pi.linear.weight"] @ hidden + weights["pi.linear.bias"]
    mean, log_std = out[:ACTIONS], np.clip(out[ACTIONS:], -5.0, 0.0)
    unsquashed = mean + np.exp(log_std) * noise
    density = np.exp(-0.5 * noise**2) / (np.exp(log_std) * math.sqrt(2.0 * math.pi)) / (1.0 - np.tanh(unsquashed) ** 2)
    return np.tanh(unsquashed), float(np.log(density).sum()), mean


def _critic(weights: Any, name: str, observation: Any, action: Any) -> float:
    hidden = np.concatenate([observation, action])
    for layer in range(2):
        prefix = f"{name}_encoder.layers.{layer}"
        hidden = np.maximum(weights[f"{prefix}.weight"] @ hidden + weights[f"{prefix}.bias"], 0.0)
    return float((weights[f"{name}.weight"] @ hidden + weights[f"{name}.bias"])[0])


def test_squashed_sample__density_integrates_to_one() -> None:
    """The log-density at u -> tanh(u), integrated over the action interval by quadrature."""
    mean, log_std = torch.tensor([[0.4]]), torch.tensor([[-0.7]])
    actions = np.linspace(-0.9999, 0.9999, 20_001)
    noise = torch.as_tensor((np.arctanh(actions) - 0.4) / math.exp(-0.7), dtype=torch.float32)[:, None]
    squashed, logp = compute_squashed_sample(mean.expand(noise.shape), log_std.expand(noise.shape), noise)
    np.testing.assert_allclose(squashed[:, 0], actions, atol=1e-5)
    assert np.trapezoid(logp.exp().numpy(), actions) == pytest.approx(1.0, abs=1e-3)

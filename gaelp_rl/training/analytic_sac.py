"""SAC's gradients for quadratic critics, written out: no graph, no accumulation, straight into the optimisers' vectors.

A third of a small update is the bookkeeping of automatic differentiation. Networks of this shape are few
matrix products, so their derivatives are too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gaelp_rl.training.fused_sac import FusedSAC, SACBatch, SACLosses, SACNetworks, compute_squashed_sample
from gaelp_rl.training.module import combine_quadratic

__all__ = ["AnalyticSAC", "has_analytic_gradients"]


def has_analytic_gradients(networks: SACNetworks) -> bool:
    """Whether ``AnalyticSAC`` knows these networks: quadratic critics without layer normalisation."""
    return networks.critic_curvature > 0.0 and not networks.critic_layer_norm


class AnalyticSAC(FusedSAC):
    """``FusedSAC`` with the same losses and the same gradients, found without building a graph."""

    @torch.no_grad()
    def compute_gradients(
        self, batch: SACBatch, noise: torch.Tensor, next_noise: torch.Tensor, with_actor: bool
    ) -> SACLosses:
        """Fills the gradients of critics and, if asked for, actor; see ``FusedSAC.compute_gradients``."""
        networks = self.networks
        targets = self.compute_targets(batch, next_noise)
        layers = _run_layers(networks.critics.stacked, batch.observations.expand(2, *batch.observations.shape))
        parts = layers[-1]
        errors = combine_quadratic(parts, batch.actions, networks.critic_curvature) - targets
        count = errors.shape[-1]
        clipped = errors.clamp(-1.0, 1.0)
        slope = clipped * (batch.weights / count)
        _fill_gradients(
            networks.critics.stacked,
            layers,
            torch.cat([slope.unsqueeze(-1), slope.unsqueeze(-1) * batch.actions], dim=-1),
        )
        # Huber's loss is clipped * error - clipped^2 / 2, inside its threshold and beyond.
        critic = (batch.weights * clipped * (errors - 0.5 * clipped)).mean(1).sum()
        q_mean = (errors + targets).mean()
        td_errors = errors.abs().mean(0)
        if not with_actor:
            return SACLosses(critic, td_errors, q_mean)
        return SACLosses(critic, td_errors, q_mean, *self._fill_actor_gradients(batch.observations, parts, noise))

    def _fill_actor_gradients(
        self, observations: torch.Tensor, parts: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Loss, mean log-density and action norm of the actor, whose gradients are filled.

        With u before squashing and a = tanh(u): d log-density / du = 2 a and dQ/da = g - curvature * a.
        """
        networks, alpha = self.networks, self.networks.log_alpha.exp()
        curvature, count = networks.critic_curvature, observations.shape[0]
        layers = _run_layers(networks.actor.stacked, observations[:, : networks.policy_features].unsqueeze(0))
        mean, raw_log_std = layers[-1][0].chunk(2, dim=-1)
        low, high = networks.log_std_bounds
        log_std = raw_log_std.clamp(low, high)
        actions, log_probability = compute_squashed_sample(mean, log_std, noise)
        q, chosen = combine_quadratic(parts, actions, curvature).min(0)
        linear = torch.where(chosen.bool().unsqueeze(-1), parts[1, :, 1:], parts[0, :, 1:])
        squashed = 1.0 - actions.square()
        by_u = (2.0 * alpha * actions - (linear - curvature * actions) * squashed) / count
        by_log_std = by_u * log_std.exp() * noise - alpha / count
        by_log_std *= (raw_log_std >= low) & (raw_log_std <= high)
        centre = mean.tanh()
        by_mean = by_u
        if self.action_penalty:
            by_mean = by_u + (2.0 * self.action_penalty / count) * centre * (1.0 - centre.square())
        _fill_gradients(networks.actor.stacked, layers, torch.cat([by_mean, by_log_std], dim=-1).unsqueeze(0))
        action_norm = centre.square().sum(-1).mean()
        actor = (alpha * log_probability - q).mean() + self.action_penalty * action_norm
        return actor, log_probability.mean(), action_norm


def _run_layers(stacked: Sequence[torch.Tensor], inputs: torch.Tensor) -> list[torch.Tensor]:
    """Inputs, hidden layers behind their ReLU, and outputs: [networks, n, width] each."""
    layers = [inputs]
    weights, biases = stacked[::2], stacked[1::2]
    for weight, bias in zip(weights, biases, strict=True):
        hidden = torch.baddbmm(bias.unsqueeze(1), layers[-1], weight.transpose(1, 2))
        layers.append(hidden.relu_() if len(layers) < len(weights) else hidden)
    return layers


def _fill_gradients(stacked: Sequence[torch.Tensor], layers: Sequence[torch.Tensor], slope: torch.Tensor) -> None:
    """Writes the gradients of all weights and biases, given the loss's slope at the outputs [networks, n, width]."""
    weights, biases = stacked[::2], stacked[1::2]
    for i in reversed(range(len(weights))):
        torch.bmm(slope.transpose(1, 2), layers[i], out=weights[i].grad)
        torch.sum(slope, dim=1, out=biases[i].grad)
        if i:
            slope = torch.ops.aten.threshold_backward(torch.bmm(slope, weights[i]), layers[i], 0.0)

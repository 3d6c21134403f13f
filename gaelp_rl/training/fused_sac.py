"""One SAC update as few large tensor operations: both critics at once, one backward pass, flat optimisers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from gaelp_rl.training.flat_parameters import FlatParameters
from gaelp_rl.training.module import combine_quadratic

__all__ = ["FusedSAC", "SACBatch", "SACLosses", "SACNetworks", "compute_squashed_sample"]

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class SACBatch:
    """A minibatch of n transitions as float32 tensors.

    Attributes:
        observations, next_observations: [n, features].
        actions: [n, actions].
        rewards, discounts, weights: [n].
    """

    observations: torch.Tensor
    next_observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    discounts: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True, slots=True)
class SACNetworks:
    """The parameters that an update reads and writes, and the shape of the networks.

    Attributes:
        actor: one network; critics, targets: two each.
        log_alpha: [1], a leaf.
        log_std_bounds: clamps of the policy's log standard deviation.
        critic_layer_norm: whether the critics normalise their hidden layers.
        policy_features: how many of the first observation entries the policy reads.
        critic_curvature: of critics that are quadratic in the action; 0 for plain networks.
    """

    actor: FlatParameters
    critics: FlatParameters
    targets: FlatParameters
    log_alpha: torch.Tensor
    log_std_bounds: tuple[float, float]
    critic_layer_norm: bool
    policy_features: int
    critic_curvature: float = 0.0


@dataclass(frozen=True, slots=True)
class SACLosses:
    """What an update minimises and reports; ``actor`` and what follows are None while the actor rests.

    Attributes:
        critic: scalar: the sum of both critics' weighted Huber losses; in graph from ``compute_losses``.
        td_errors: [n], detached, mean absolute error of both critics.
        q_mean: scalar, detached.
        actor: scalar, likewise.
        log_probability: scalar, detached, mean over the minibatch.
        action_norm: scalar, detached: mean of the squared length of the deterministic action.
    """

    critic: torch.Tensor
    td_errors: torch.Tensor
    q_mean: torch.Tensor
    actor: torch.Tensor | None = None
    log_probability: torch.Tensor | None = None
    action_norm: torch.Tensor | None = None


def compute_squashed_sample(
    mean: torch.Tensor, log_std: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A reparameterised action ``tanh(u)``, ``u = mean + exp(log_std) * noise``, and its log-density.

    Args:
        mean: [n, actions], before squashing.
        log_std: [n, actions], log standard deviation before squashing.
        noise: [n, actions], standard normal.

    Returns:
        Action [n, actions] and log-density [n], with ``log(1 - tanh(u)^2)`` written stably.

    Source: Haarnoja et al. 2018, "Soft Actor-Critic", appendix C, eq. 21.
    """
    unsquashed = mean + log_std.exp() * noise
    log_normal = -0.5 * noise.square() - log_std - _HALF_LOG_TWO_PI
    log_jacobian = 2.0 * (math.log(2.0) - unsquashed - functional.softplus(-2.0 * unsquashed))
    return unsquashed.tanh(), (log_normal - log_jacobian).sum(-1)


class FusedSAC:
    """SAC's losses on stacked critics, equal in value and gradient to RLlib's, plus the pull to action zero."""

    def __init__(self, networks: SACNetworks, action_penalty: float, tau: float) -> None:
        self.networks = networks
        self.action_penalty = action_penalty
        self.tau = tau

    def compute_policy(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log standard deviation of the unsquashed action, [n, actions] each."""
        *hidden_layers, (weight, bias) = _pairs(self.networks.actor.stacked)
        hidden = observations[:, : self.networks.policy_features]
        for layer_weight, layer_bias in hidden_layers:
            hidden = torch.relu(functional.linear(hidden, layer_weight[0], layer_bias[0]))
        mean, log_std = functional.linear(hidden, weight[0], bias[0]).chunk(2, dim=-1)
        return mean, log_std.clamp(*self.networks.log_std_bounds)

    def compute_losses(
        self, batch: SACBatch, noise: torch.Tensor, next_noise: torch.Tensor, with_actor: bool
    ) -> SACLosses:
        """The losses of one minibatch.

        Args:
            batch: n transitions.
            noise: standard normal [n, actions], for the current state's action.
            next_noise: standard normal [n, actions], for the next state's.
            with_actor: False computes the critics' part only.

        Source: Haarnoja et al. 2018, eq. 5 to 9, with Huber in place of squared critic errors (as RLlib),
            and ``action_penalty * mean(|tanh(mean)|^2)`` (after Fujimoto and Gu 2021, eq. 3: behaviour
            cloning of action zero).
        """
        networks = self.networks
        alpha = networks.log_alpha.detach().exp()
        targets = self.compute_targets(batch, next_noise)
        start = self._start_critics(networks.critics.stacked, batch.observations)
        q = self._finish_critics(networks.critics.stacked, start, batch.actions)
        huber = functional.huber_loss(q, targets.expand_as(q), reduction="none")
        critic = (batch.weights * huber).mean(1).sum()
        td_errors = (q.detach() - targets).abs().mean(0)
        if not with_actor:
            return SACLosses(critic, td_errors, q.detach().mean())
        mean, log_std = self.compute_policy(batch.observations)
        actions, log_probability = compute_squashed_sample(mean, log_std, noise)
        frozen = [part.detach() for part in networks.critics.stacked]
        q_of_policy = self._finish_critics(frozen, start.detach(), actions).amin(0)
        action_norm = mean.tanh().square().sum(-1).mean()
        actor = (alpha * log_probability - q_of_policy).mean() + self.action_penalty * action_norm
        return SACLosses(
            critic, td_errors, q.detach().mean(), actor, log_probability.detach().mean(), action_norm.detach()
        )

    def compute_gradients(
        self, batch: SACBatch, noise: torch.Tensor, next_noise: torch.Tensor, with_actor: bool
    ) -> SACLosses:
        """Fills the gradients of critics and, if asked for, actor; arguments as of ``compute_losses``.

        All gradients come before any step: the policy's pass through the critics' weights as they were.
        """
        for parameters in (self.networks.critics, self.networks.actor):
            if parameters.flat.grad is not None:
                parameters.flat.grad.zero_()
        losses = self.compute_losses(batch, noise, next_noise, with_actor)
        total = losses.critic if losses.actor is None else losses.critic + losses.actor
        total.backward()  # type: ignore[no-untyped-call]
        return losses

    @torch.no_grad()
    def compute_targets(self, batch: SACBatch, next_noise: torch.Tensor) -> torch.Tensor:
        """What the critics are to say of the minibatch, [n]: reward plus discounted soft value of the next state."""
        alpha = self.networks.log_alpha.exp()
        next_actions, next_log_probability = compute_squashed_sample(
            *self.compute_policy(batch.next_observations), next_noise
        )
        parts = self.networks.targets.stacked
        next_q = self._finish_critics(parts, self._start_critics(parts, batch.next_observations), next_actions).amin(0)
        return batch.rewards + batch.discounts * (next_q - alpha * next_log_probability)

    def update_targets(self) -> None:
        """Moves the target critics a step of ``tau`` towards the critics."""
        self.networks.targets.flat.data.lerp_(self.networks.critics.flat.data, self.tau)

    def _start_critics(self, parts: Sequence[torch.Tensor], observations: torch.Tensor) -> torch.Tensor:
        """What all actions in a state share, for both critics.

        Returns:
            Of plain critics the observations' share of the first layer, [2, n, hidden]; of quadratic
            ones V and g, [2, n, 1 + actions].
        """
        (weight, bias), *layers = _pairs(parts)
        observation_weight = weight[:, :, : observations.shape[-1]].transpose(1, 2)
        start = torch.baddbmm(bias.unsqueeze(1), observations.expand(2, *observations.shape), observation_weight)
        return self._apply_layers(layers, start) if self.networks.critic_curvature else start

    def _finish_critics(
        self, parts: Sequence[torch.Tensor], start: torch.Tensor, actions: torch.Tensor
    ) -> torch.Tensor:
        """Both critics' values of the actions, [2, n]; ``start`` is from ``_start_critics``."""
        if self.networks.critic_curvature:
            return combine_quadratic(start, actions, self.networks.critic_curvature)
        (first_weight, _), *layers = _pairs(parts)
        action_weight = first_weight[:, :, -actions.shape[-1] :].transpose(1, 2)
        hidden = torch.baddbmm(start, actions.expand(2, *actions.shape), action_weight)
        return self._apply_layers(layers, hidden).squeeze(-1)

    def _apply_layers(self, layers: Sequence[tuple[torch.Tensor, torch.Tensor]], hidden: torch.Tensor) -> torch.Tensor:
        """Both critics' layers behind the first, on [2, n, hidden] before its activation."""
        for weight, bias in layers:
            if self.networks.critic_layer_norm:
                hidden = functional.layer_norm(hidden, hidden.shape[-1:])
            hidden = torch.baddbmm(bias.unsqueeze(1), torch.relu(hidden), weight.transpose(1, 2))
        return hidden


def _pairs(parts: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights and biases of consecutive layers."""
    return list(zip(parts[::2], parts[1::2], strict=True))

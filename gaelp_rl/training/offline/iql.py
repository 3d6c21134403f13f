"""Implicit Q-learning and behaviour cloning on the learner's own networks.

IQL never asks its critics about an action that is not in the data. A conservative penalty (CQL) would
have nothing to hold down here: critics of fixed curvature cannot promise more the further one goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT
from torch import nn
from torch.nn import functional

from gaelp_rl.bootstrap.transitions import TransitionDays
from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.features.schema import Float32Array
from gaelp_rl.training.module import PlainSACModule, Trunk, make_model_config

__all__ = ["OfflineResult", "OfflineSettings", "compute_expectile_loss", "make_offline_module", "train_offline"]

_LARGEST_WEIGHT = 100.0
_ATANH_LIMIT = 1.0 - 1e-4


@dataclass(frozen=True, slots=True)
class OfflineSettings:
    """How weights are fitted to logged days.

    Attributes:
        is_cloning: behaviour cloning; the critics are then trained on the data too, the policy ignores them.
        updates: minibatches.
        expectile: of the state values, in (0, 1); 0.5 is the mean over the data's actions.
        inverse_temperature: of the advantage weights; 0 clones.
        seed: of minibatches and networks.
    """

    is_cloning: bool
    updates: int
    expectile: float
    inverse_temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class OfflineResult:
    """Fitted networks.

    Attributes:
        module: on the CPU; its target critics equal its critics.
        weights: its state by name, as the learner's module takes it.
        td_errors: float32 [24, days]; absolute, of the data.
    """

    module: PlainSACModule
    weights: dict[str, NDArray[Any]]
    td_errors: Float32Array


def compute_expectile_loss(error: torch.Tensor, expectile: float) -> torch.Tensor:
    """Mean of ``|expectile - 1(error < 0)| error^2``; its minimiser over a constant is the expectile.

    Source: Kostrikov, Nair and Levine 2022, "Offline reinforcement learning with implicit Q-learning", eq. 5.
    """
    weight = torch.where(error < 0.0, 1.0 - expectile, expectile)
    return (weight * error.square()).mean()


def make_offline_module(training: TrainingConfig, observations: int, actions: int) -> PlainSACModule:
    """The learner's module, target critics included, outside of Ray.

    Args:
        training: sizes and bounds of the networks.
        observations: entries of an observation, privileged ones included.
        actions: entries of an action.
    """
    unbounded = np.full(observations, np.inf, dtype=np.float32)
    module = PlainSACModule(
        observation_space=gym.spaces.Box(-unbounded, unbounded),
        action_space=gym.spaces.Box(-1.0, 1.0, (actions,), np.float32),
        model_config=make_model_config(
            hidden_sizes=training.hidden_sizes,
            critic_layer_norm=training.critic_layer_norm,
            initial_log_std=training.initial_log_std,
            log_std_min=training.log_std_min,
            log_std_max=training.log_std_max,
            privileged_features=training.privileged_features,
            critic_curvature=training.critic_curvature,
        ),
        inference_only=False,
    )
    module.make_target_networks()
    return module


def train_offline(
    days: TransitionDays,
    training: TrainingConfig,
    settings: OfflineSettings,
    on_update: Callable[[int], None] | None = None,
) -> OfflineResult:
    """Fits policy and critics to logged days.

    Args:
        days: transitions.
        training: networks, discount and learning rates.
        settings: of the fit.
        on_update: called with the number of updates so far.

    Source: Kostrikov et al. 2022, eq. 5 to 7; one step of return whatever ``n_step`` says.
    """
    torch.manual_seed(settings.seed)
    data = _Data(days, training.gamma)
    module = make_offline_module(training, data.observations.shape[1], data.actions.shape[1])
    fit = _Fit(module, training, settings)
    generator = torch.Generator().manual_seed(settings.seed)
    for update in range(settings.updates):
        rows = torch.randint(data.size, (training.batch_size,), generator=generator)
        fit.update(data, rows)
        if on_update is not None:
            on_update(update + 1)
    td_errors = fit.compute_td_errors(data).numpy().reshape(days.rewards.shape)
    _copy_targets(module, 1.0)
    weights = {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}
    return OfflineResult(module, weights, td_errors)


class _Data:
    """Transitions as flat tensors, hour by hour over all days."""

    def __init__(self, days: TransitionDays, gamma: float) -> None:
        width = days.observations.shape[-1]
        self.observations = torch.from_numpy(days.observations[:-1].reshape(-1, width).copy())
        self.next_observations = torch.from_numpy(days.observations[1:].reshape(-1, width).copy())
        self.actions = torch.from_numpy(days.actions.reshape(-1, days.actions.shape[-1]).copy())
        self.rewards = torch.from_numpy(days.rewards.reshape(-1).copy())
        discount = np.full(days.rewards.shape, gamma, dtype=np.float32)
        discount[-1, days.terminated] = 0.0
        self.discounts = torch.from_numpy(discount.reshape(-1))
        self.size = self.rewards.shape[0]


class _Fit:
    """Networks, their optimisers, and one update."""

    def __init__(self, module: PlainSACModule, training: TrainingConfig, settings: OfflineSettings) -> None:
        self._module, self._training, self._settings = module, training, settings
        trunk = Trunk(module.observation_space.shape[0], training.hidden_sizes)
        self._state_value = nn.ModuleList([trunk, nn.Linear(training.hidden_sizes[-1], 1)])
        critics = (module.qf_encoder, module.qf, module.qf_twin_encoder, module.qf_twin)
        self._critic_parameters = [parameter for part in critics for parameter in part.parameters()]
        policy = [*module.pi_encoder.parameters(), *module.pi.parameters()]
        self._optimizers = (
            torch.optim.Adam(self._state_value.parameters(), lr=training.critic_lr),
            torch.optim.Adam(self._critic_parameters, lr=training.critic_lr),
            torch.optim.Adam(policy, lr=training.actor_lr),
        )

    def update(self, data: _Data, rows: torch.Tensor) -> None:
        observations, actions = data.observations[rows], data.actions[rows]
        with torch.no_grad():
            q = torch.minimum(*_compute_twins(self._module, observations, actions, "target_"))
            targets = data.rewards[rows] + data.discounts[rows] * self._compute_value(data.next_observations[rows])
        value = self._compute_value(observations)
        advantage = (q - value).detach()
        first, second = _compute_twins(self._module, observations, actions)
        critic = functional.huber_loss(first, targets) + functional.huber_loss(second, targets)
        losses = (
            compute_expectile_loss(q - value, self._settings.expectile),
            critic,
            -(self._weigh(advantage) * self._compute_log_probability(observations, actions)).mean(),
        )
        for optimizer, loss in zip(self._optimizers, losses, strict=True):
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        _copy_targets(self._module, self._training.tau)

    @torch.no_grad()
    def compute_td_errors(self, data: _Data) -> torch.Tensor:
        targets = data.rewards + data.discounts * self._compute_value(data.next_observations)
        twins = _compute_twins(self._module, data.observations, data.actions)
        return torch.stack([(q - targets).abs() for q in twins]).mean(0)

    def _weigh(self, advantage: torch.Tensor) -> torch.Tensor:
        if self._settings.is_cloning:
            return torch.ones_like(advantage)
        return (self._settings.inverse_temperature * advantage).exp().clamp(max=_LARGEST_WEIGHT)

    def _compute_value(self, observations: torch.Tensor) -> torch.Tensor:
        trunk, head = self._state_value
        out: torch.Tensor = head(trunk({Columns.OBS: observations})[ENCODER_OUT])
        return out.squeeze(-1)

    def _compute_log_probability(self, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Of the unsquashed action, up to what does not depend on the policy, [n]."""
        module = self._module
        mean, log_std = module.pi(module.pi_encoder({Columns.OBS: observations})[ENCODER_OUT]).chunk(2, dim=-1)
        unsquashed = actions.clamp(-_ATANH_LIMIT, _ATANH_LIMIT).atanh()
        return (-0.5 * ((unsquashed - mean) / log_std.exp()).square() - log_std).sum(-1)


def _compute_twins(
    module: PlainSACModule, observations: torch.Tensor, actions: torch.Tensor, prefix: str = ""
) -> tuple[torch.Tensor, torch.Tensor]:
    batch = {Columns.OBS: observations, Columns.ACTIONS: actions}

    def compute(name: str) -> torch.Tensor:
        encoder, head = getattr(module, f"{prefix}{name}_encoder"), getattr(module, f"{prefix}{name}")
        out: torch.Tensor = head(encoder(batch)[ENCODER_OUT])
        return out.squeeze(-1)

    return compute("qf"), compute("qf_twin")


@torch.no_grad()
def _copy_targets(module: PlainSACModule, tau: float) -> None:
    for name in ("qf_encoder", "qf", "qf_twin_encoder", "qf_twin"):
        pairs = zip(getattr(module, f"target_{name}").parameters(), getattr(module, name).parameters(), strict=True)
        for target, parameter in pairs:
            target.lerp_(parameter, tau)

"""The SAC networks: plain multilayer perceptrons that start at action zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from ray.rllib.algorithms.sac.torch.default_sac_torch_rl_module import DefaultSACTorchRLModule
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchDeterministic, TorchSquashedGaussian
from ray.rllib.core.models.base import ENCODER_OUT
from torch import nn

__all__ = ["GaussianHead", "PlainSACModule", "QuadraticHead", "Trunk", "combine_quadratic", "make_model_config"]


def make_model_config(
    *,
    hidden_sizes: Sequence[int] = (128, 128),
    critic_layer_norm: bool = False,
    initial_log_std: float = -2.0,
    log_std_min: float = -5.0,
    log_std_max: float = 0.0,
    privileged_features: int = 0,
    critic_curvature: float = 0.0,
) -> dict[str, Any]:
    """The ``model_config`` that ``PlainSACModule`` reads.

    Args:
        hidden_sizes: units of each hidden layer, policy and critics alike.
        critic_layer_norm: layer normalisation without gains behind each hidden layer of the critics.
        initial_log_std: log of the exploration noise before squashing, at the start.
        log_std_min: its lower clamp, at least RLlib's own -5.
        log_std_max: its upper clamp, at most RLlib's own 2.
        privileged_features: how many of the last observation entries only the critics may read.
        critic_curvature: of critics that are quadratic in the action; 0 for plain networks.
    """
    return {
        "hidden_sizes": tuple(hidden_sizes),
        "critic_layer_norm": critic_layer_norm,
        "initial_log_std": initial_log_std,
        "log_std_min": log_std_min,
        "log_std_max": log_std_max,
        "privileged_features": privileged_features,
        "critic_curvature": critic_curvature,
    }


class Trunk(nn.Module):
    """Hidden layers with ReLU on observations, or on observations and actions side by side.

    With ``is_action_late`` the actions pass the hidden layers by, for a head that reads them itself.
    """

    def __init__(
        self, inputs: int, hidden_sizes: Sequence[int], layer_norm: bool = False, is_action_late: bool = False
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.is_action_late = is_action_late
        sizes = [inputs, *hidden_sizes]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.layer_norm = layer_norm

    def forward(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Maps ``obs`` (and ``actions``, where given) [n, ...] to ``{ENCODER_OUT: [n, hidden]}``."""
        hidden = batch[Columns.OBS][..., : self.inputs]
        if Columns.ACTIONS in batch and not self.is_action_late:
            hidden = torch.cat([hidden, batch[Columns.ACTIONS]], dim=-1)
        for layer in self.layers:
            hidden = layer(hidden)
            if self.layer_norm:
                hidden = nn.functional.layer_norm(hidden, hidden.shape[-1:])
            hidden = torch.relu(hidden)
        if self.is_action_late:
            hidden = torch.cat([hidden, batch[Columns.ACTIONS]], dim=-1)
        return {ENCODER_OUT: hidden}


class QuadraticHead(nn.Module):
    """Critic head ``Q(s, a) = V(s) + g(s) a - curvature / 2 |a|^2``, with g = 0 at the start.

    A fixed curvature makes the best action g(s) / curvature: a step from action zero that is as long as
    the evidence for it, instead of wherever the critic extrapolates best.

    Source: Gu et al. 2016, "Continuous deep Q-learning with model-based acceleration", eq. 3.
    """

    def __init__(self, hidden: int, actions: int, curvature: float) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, 1 + actions)
        self.actions = actions
        self.curvature = curvature
        with torch.no_grad():
            self.linear.weight[1:] = 0.0
            self.linear.bias.zero_()

    def forward(self, hidden_and_actions: torch.Tensor) -> torch.Tensor:
        """Maps [n, hidden + actions] to [n, 1]."""
        hidden, actions = hidden_and_actions[..., : -self.actions], hidden_and_actions[..., -self.actions :]
        return combine_quadratic(self.linear(hidden), actions, self.curvature).unsqueeze(-1)


def combine_quadratic(parts: torch.Tensor, actions: torch.Tensor, curvature: float) -> torch.Tensor:
    """Q [...] from V and g side by side [..., 1 + actions] and the actions [..., actions]."""
    return parts[..., 0] + (actions * (parts[..., 1:] - 0.5 * curvature * actions)).sum(-1)


class GaussianHead(nn.Module):
    """Mean and clamped log standard deviation of the action before squashing; both constant at the start."""

    def __init__(self, inputs: int, actions: int, initial_log_std: float, bounds: tuple[float, float]) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * actions)
        self.bounds = bounds
        nn.init.zeros_(self.linear.weight)
        with torch.no_grad():
            self.linear.bias[:actions] = 0.0
            self.linear.bias[actions:] = initial_log_std

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Maps [n, hidden] to [n, 2 * actions]: means, then log standard deviations."""
        mean, log_std = self.linear(hidden).chunk(2, dim=-1)
        return torch.cat([mean, log_std.clamp(*self.bounds)], dim=-1)


class _SquashedGaussian(TorchSquashedGaussian):
    """RLlib's squashed Gaussian whose deterministic action is ``tanh(mean)``."""

    def to_deterministic(self) -> TorchDeterministic:
        return TorchDeterministic(loc=self._squash(self.loc))


class PlainSACModule(DefaultSACTorchRLModule):
    """RLlib's SAC module with plain networks in place of the catalogue's two-stream ones.

    Everything that a stock ``SACTorchLearner`` calls works unchanged. Actions lie in [-1, 1].
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("catalog_class", None)
        # The parent's constructor would build a catalogue, which knows nothing of these networks.
        super(DefaultSACTorchRLModule, self).__init__(*args, **kwargs)

    def setup(self) -> None:
        """Builds policy and, unless for inference only, twin critics."""
        config = self.model_config
        self.twin_q = True
        observations, actions = self.observation_space.shape[0], self.action_space.shape[0]
        hidden = config["hidden_sizes"]
        self.pi_encoder = Trunk(observations - config["privileged_features"], hidden)
        bounds = (config["log_std_min"], config["log_std_max"])
        self.pi = GaussianHead(hidden[-1], actions, config["initial_log_std"], bounds)
        if self.inference_only:
            return
        curvature, layer_norm = config["critic_curvature"], config["critic_layer_norm"]
        is_quadratic = curvature > 0.0
        inputs = observations if is_quadratic else observations + actions
        self.qf_encoder, self.qf_twin_encoder = (Trunk(inputs, hidden, layer_norm, is_quadratic) for _ in range(2))
        self.qf, self.qf_twin = (
            QuadraticHead(hidden[-1], actions, curvature) if is_quadratic else nn.Linear(hidden[-1], 1)
            for _ in range(2)
        )

    def get_train_action_dist_cls(self) -> type[TorchSquashedGaussian]:
        """The squashed Gaussian; likewise in exploration and inference."""
        return _SquashedGaussian

    get_exploration_action_dist_cls = get_train_action_dist_cls
    get_inference_action_dist_cls = get_train_action_dist_cls

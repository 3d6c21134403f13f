"""The learned models written in PyTorch, in double precision, for comparison with our kernels."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from envs.auction.learning.training import TrainingRule


def to_tensor(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float64)


def to_parameter(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def compute_win_rate(p: Tensor, ctr: Tensor, item_value: Tensor, gamma: Tensor) -> Tensor:
    return torch.sigmoid(torch.stack([ctr, item_value, gamma], dim=1) @ p[:3] + p[3])


def compute_win_rate_loss(p: Tensor, ctr: Tensor, item_value: Tensor, gamma: Tensor, won: Tensor) -> Tensor:
    logits = torch.cat(
        [torch.stack([ctr, item_value, g], dim=1) @ p[:3] + p[3] for g in (gamma, torch.zeros_like(gamma))]
    )
    return functional.binary_cross_entropy_with_logits(logits, torch.cat([won, torch.zeros_like(won)]))


def compute_policy(p: Tensor, ctr: Tensor, item_value: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and width, without the least width."""
    hidden = functional.softplus(torch.stack([ctr, item_value], dim=1) @ p[:4].reshape(2, 2).T + p[4:6])
    return functional.softplus(hidden @ p[6:8] + p[8]), functional.softplus(hidden @ p[9:11] + p[11])


def compute_imitation_loss(p: Tensor, ctr: Tensor, item_value: Tensor, gamma: Tensor) -> Tensor:
    mu, raw_sigma = compute_policy(p, ctr, item_value)
    return functional.mse_loss(mu, gamma) + functional.mse_loss(raw_sigma, torch.full_like(gamma, 0.05))


def _compute_weight(mu: Tensor, sigma: Tensor, gamma: Tensor, propensity: Tensor) -> Tensor:
    density = torch.exp(-(((mu - gamma) / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))
    return torch.clamp(density, min=1e-30) / propensity


def compute_policy_loss(
    name: str, p: Tensor, ctr: Tensor, item_value: Tensor, gamma: Tensor, propensity: Tensor, utility: Tensor
) -> Tensor:
    mu, raw_sigma = compute_policy(p, ctr, item_value)
    sigma = raw_sigma + 0.01
    if name == "REINFORCE":
        return -(_compute_weight(mu, sigma, gamma, torch.ones_like(gamma)) * utility).mean()
    weight = _compute_weight(mu, sigma, gamma, propensity)
    if name == "REINFORCE_offpolicy":
        return -(weight * utility).mean()
    if name == "TRPO":
        divergence = (sigma**2 + (mu - gamma) ** 2) / (2 * sigma**2) - 0.5
        return -(weight * utility).mean() + 0.05 * divergence.mean()
    return -torch.minimum(weight * utility, torch.clamp(weight, 1 / 50, 50) * utility).mean()


def _compute_modelled(
    mu: Tensor, sigma: Tensor, win_rate: Tensor, ctr: Tensor, item_value: Tensor, noise: Tensor
) -> Tensor:
    gamma = torch.clamp(mu + sigma * noise, 0.0, 1.0)
    worth = ctr * item_value
    return compute_win_rate(win_rate, ctr, item_value, gamma) * (worth - gamma * worth)


def compute_modelled_loss(p: Tensor, win_rate: Tensor, ctr: Tensor, item_value: Tensor, noise: Tensor) -> Tensor:
    mu, raw_sigma = compute_policy(p, ctr, item_value)
    return -_compute_modelled(mu, raw_sigma + 0.01, win_rate, ctr, item_value, noise).mean()


def compute_doubly_robust_loss(
    p: Tensor,
    win_rate: Tensor,
    ctr: Tensor,
    item_value: Tensor,
    gamma: Tensor,
    propensity: Tensor,
    surprise: Tensor,
    noise: Tensor,
) -> Tensor:
    mu, raw_sigma = compute_policy(p, ctr, item_value)
    sigma = raw_sigma + 0.01
    correction = surprise * torch.clamp(_compute_weight(mu, sigma, gamma, propensity), 1 / 50, 50)
    return -(correction + _compute_modelled(mu, sigma, win_rate, ctr, item_value, noise)).mean()


def make_optimiser(
    parameter: Tensor, rule: TrainingRule
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau]:
    """Adam with AMSGrad and the schedule of ``rule``."""
    adam = torch.optim.Adam([parameter], lr=rule.learning_rate, weight_decay=rule.weight_decay, amsgrad=True)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        adam,
        "min",
        factor=min(rule.plateau.factor, 0.5),
        patience=rule.plateau.patience,
        threshold=rule.plateau.threshold,
        min_lr=rule.plateau.least_rate,
    )
    return adam, plateau

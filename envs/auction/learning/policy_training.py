"""How bid shading policies are trained: first to imitate, then to earn.

Source: AuctionGym (Apache-2.0), its learning rates, epochs and patience.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.learning.adam import make_moments
from envs.auction.learning.gaussian_policy import NUM_PARAMETERS
from envs.auction.learning.noise import fill_normals
from envs.auction.learning.plateau import PlateauRule
from envs.auction.learning.policy_losses import (
    compute_doubly_robust_loss,
    compute_imitation_loss,
    compute_modelled_loss,
    compute_weighted_loss,
)
from envs.auction.learning.training import NEVER, TrainingRule, start_training, step_training

__all__ = [
    "DOUBLY_ROBUST_RULE",
    "IMITATION_RULE",
    "MODELLED_RULE",
    "WEIGHTED_RULE",
    "train_doubly_robust",
    "train_imitation",
    "train_modelled",
    "train_weighted",
]

IMITATION_RULE = TrainingRule(epochs=16384, patience=512, learning_rate=1e-3, weight_decay=1e-4, plateau=NEVER)
WEIGHTED_RULE = TrainingRule(
    epochs=16384,
    patience=512,
    learning_rate=2e-3,
    weight_decay=1e-4,
    plateau=PlateauRule(factor=0.2, patience=100, least_rate=1e-8),
)
MODELLED_RULE = TrainingRule(
    epochs=16384,
    patience=256,
    learning_rate=2e-3,
    weight_decay=1e-6,
    plateau=PlateauRule(factor=0.1, patience=100, least_rate=1e-7),
)
DOUBLY_ROBUST_RULE = TrainingRule(
    epochs=32768,
    patience=512,
    learning_rate=7e-3,
    weight_decay=1e-4,
    plateau=PlateauRule(factor=0.2, patience=100, least_rate=1e-8, threshold=5e-3),
)

FloatArray = NDArray[np.float64]


@njit(cache=True)
def train_imitation(
    parameters: FloatArray, estimated_ctr: FloatArray, item_value: FloatArray, gamma: FloatArray, rule: TrainingRule
) -> tuple[float, int]:
    """Minimises ``compute_imitation_loss`` in place.

    Returns:
        The last loss, and how many epochs it took.
    """
    gradient, moments, progress = np.empty(NUM_PARAMETERS), make_moments(NUM_PARAMETERS), start_training(rule)
    loss, epoch = math.inf, 0
    while not progress.ended:
        loss = compute_imitation_loss(parameters, estimated_ctr, item_value, gamma, gradient)
        progress = step_training(parameters, gradient, moments, progress, epoch, loss, rule)
        epoch += 1
    return loss, epoch


@njit(cache=True)
def train_weighted(
    parameters: FloatArray,
    estimated_ctr: FloatArray,
    item_value: FloatArray,
    gamma: FloatArray,
    propensity: FloatArray,
    utility: FloatArray,
    weight_bound: float,
    divergence_weight: float,
    rule: TrainingRule,
) -> tuple[float, int]:
    """Minimises ``compute_weighted_loss`` in place.

    Returns:
        The last loss, and how many epochs it took.
    """
    gradient, moments, progress = np.empty(NUM_PARAMETERS), make_moments(NUM_PARAMETERS), start_training(rule)
    loss, epoch = math.inf, 0
    while not progress.ended:
        loss = compute_weighted_loss(
            parameters,
            estimated_ctr,
            item_value,
            gamma,
            propensity,
            utility,
            weight_bound,
            divergence_weight,
            gradient,
        )
        progress = step_training(parameters, gradient, moments, progress, epoch, loss, rule)
        epoch += 1
    return loss, epoch


@njit(cache=True)
def train_modelled(
    parameters: FloatArray,
    win_rate: FloatArray,
    estimated_ctr: FloatArray,
    item_value: FloatArray,
    key: np.uint64,
    rule: TrainingRule,
) -> tuple[float, int]:
    """Minimises ``compute_modelled_loss`` in place, with fresh noise in every epoch.

    Returns:
        The last loss, and how many epochs it took.
    """
    gradient, moments, progress = np.empty(NUM_PARAMETERS), make_moments(NUM_PARAMETERS), start_training(rule)
    noise = np.empty_like(item_value)
    loss, epoch = math.inf, 0
    while not progress.ended:
        fill_normals(key, epoch, noise)
        loss = compute_modelled_loss(parameters, win_rate, estimated_ctr, item_value, noise, gradient)
        progress = step_training(parameters, gradient, moments, progress, epoch, loss, rule)
        epoch += 1
    return loss, epoch


@njit(cache=True)
def train_doubly_robust(
    parameters: FloatArray,
    win_rate: FloatArray,
    estimated_ctr: FloatArray,
    item_value: FloatArray,
    gamma: FloatArray,
    propensity: FloatArray,
    surprise: FloatArray,
    weight_bound: float,
    key: np.uint64,
    rule: TrainingRule,
) -> tuple[float, int]:
    """Minimises ``compute_doubly_robust_loss`` in place, with fresh noise in every epoch.

    Returns:
        The last loss, and how many epochs it took.
    """
    gradient, moments, progress = np.empty(NUM_PARAMETERS), make_moments(NUM_PARAMETERS), start_training(rule)
    noise = np.empty_like(item_value)
    loss, epoch = math.inf, 0
    while not progress.ended:
        fill_normals(key, epoch, noise)
        loss = compute_doubly_robust_loss(
            parameters,
            win_rate,
            estimated_ctr,
            item_value,
            gamma,
            propensity,
            surprise,
            weight_bound,
            noise,
            gradient,
        )
        progress = step_training(parameters, gradient, moments, progress, epoch, loss, rule)
        epoch += 1
    return loss, epoch

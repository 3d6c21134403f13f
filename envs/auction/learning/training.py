"""What every full-batch training run has in common: where it starts, one step, and when it ends."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.learning.adam import Moments, step_adam
from envs.auction.learning.plateau import Plateau, PlateauRule, start_plateau, step_plateau
from gaelp_rl.errors import DataError

__all__ = ["NEVER", "Progress", "TrainingRule", "check_loss", "sample_layer", "start_training", "step_training"]

NEVER = PlateauRule(factor=1.0, patience=1 << 40)
"""A learning rate that stays."""

_LEAST_IMPROVEMENT = 1e-6


class TrainingRule(NamedTuple):
    """How a model is trained.

    Attributes:
        epochs: steps at most, each on all data.
        patience: epochs without an improvement of 1e-6 after which training ends.
        learning_rate: of the first step.
        weight_decay: times a parameter is added to its gradient.
        plateau: how the learning rate falls.
    """

    epochs: int
    patience: int
    learning_rate: float
    weight_decay: float
    plateau: PlateauRule


class Progress(NamedTuple):
    """Where a training run stands.

    Attributes:
        plateau: the learning rate's schedule.
        best_loss: the loss that is to be improved by 1e-6.
        best_epoch: when it was reached, -1 before the first epoch.
        ended: whether this was the last epoch.
    """

    plateau: Plateau
    best_loss: float
    best_epoch: int
    ended: bool


def sample_layer(fan_in: int, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights and biases of a linear layer before training: uniform on +-1 / sqrt(fan_in).

    Source: PyTorch documentation, torch.nn.Linear.
    """
    bound = 1.0 / math.sqrt(fan_in)
    return rng.uniform(-bound, bound, size)


@njit(cache=True)
def start_training(rule: TrainingRule) -> Progress:
    """The state before the first epoch."""
    return Progress(start_plateau(rule.learning_rate), math.inf, -1, False)


@njit(cache=True)
def step_training(
    parameters: NDArray[np.float64],
    gradient: NDArray[np.float64],
    moments: Moments,
    progress: Progress,
    epoch: int,
    loss: float,
    rule: TrainingRule,
) -> Progress:
    """Moves ``parameters`` one step of Adam with AMSGrad and tells how training goes on.

    Args:
        parameters: float64 [parameters]; overwritten.
        gradient: float64 [parameters], at ``parameters``.
        moments: of Adam; overwritten.
        progress: the state after the epoch before.
        epoch: 0 for the first.
        loss: at ``parameters``; training ends at once where it is not finite.
        rule: how the model is trained.
    """
    if not math.isfinite(loss):
        return Progress(progress.plateau, loss, epoch, True)
    step_adam(parameters, gradient, moments, epoch + 1, progress.plateau.learning_rate, rule.weight_decay, True)
    plateau = step_plateau(progress.plateau, loss, rule.plateau)
    if progress.best_loss - loss > _LEAST_IMPROVEMENT:
        return Progress(plateau, loss, epoch, epoch + 1 >= rule.epochs)
    stale = epoch - progress.best_epoch > rule.patience
    return Progress(plateau, progress.best_loss, progress.best_epoch, stale or epoch + 1 >= rule.epochs)


def check_loss(loss: float, model: str, records: int) -> None:
    """Refuses a model whose training broke down.

    Raises:
        DataError: the loss is not a finite number.
    """
    if not math.isfinite(loss):
        msg = (
            f"training the {model} on {records} records ended with a loss of {loss}; a loss must be finite. "
            "Look for records that hold NaN or infinity, or raise gamma_sigma so that no shading factor is a surprise."
        )
        raise DataError(msg)

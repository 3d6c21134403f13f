"""A learning rate that falls when the loss no longer does, as PyTorch's ReduceLROnPlateau in mode ``min``.

Source: PyTorch documentation, torch.optim.lr_scheduler.ReduceLROnPlateau. The threshold is relative, so that
below zero a loss that has risen by less than the threshold still counts as better, and becomes the best.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit

__all__ = ["Plateau", "PlateauRule", "start_plateau", "step_plateau"]

_LEAST_CHANGE = 1e-8


class PlateauRule(NamedTuple):
    """When the learning rate falls, and how far.

    Attributes:
        factor: that the learning rate is multiplied by.
        patience: epochs without a better loss that change nothing.
        least_rate: the learning rate never falls below it.
        threshold: share of the best loss by which a loss must be lower to be better.
    """

    factor: float
    patience: int
    least_rate: float = 0.0
    threshold: float = 1e-4


class Plateau(NamedTuple):
    """Where the schedule stands.

    Attributes:
        learning_rate: of the next step.
        best: the loss that is to be beaten.
        bad_epochs: epochs since it was beaten or the learning rate fell.
    """

    learning_rate: float
    best: float
    bad_epochs: int


@njit(cache=True)
def start_plateau(learning_rate: float) -> Plateau:
    """The schedule before the first epoch."""
    return Plateau(learning_rate, math.inf, 0)


@njit(cache=True)
def step_plateau(plateau: Plateau, loss: float, rule: PlateauRule) -> Plateau:
    """The schedule after an epoch that had this loss."""
    if loss < plateau.best * (1.0 - rule.threshold):
        return Plateau(plateau.learning_rate, loss, 0)
    if plateau.bad_epochs < rule.patience:
        return Plateau(plateau.learning_rate, plateau.best, plateau.bad_epochs + 1)
    lower = max(plateau.learning_rate * rule.factor, rule.least_rate)
    learning_rate = lower if plateau.learning_rate - lower > _LEAST_CHANGE else plateau.learning_rate
    return Plateau(learning_rate, plateau.best, 0)

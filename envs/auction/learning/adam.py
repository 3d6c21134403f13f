"""Adam for parameters in a flat array, as PyTorch does it.

Source: Kingma and Ba, "Adam", ICLR 2015, algorithm 1; Reddi, Kale, Kumar, "On the convergence of Adam and
beyond", ICLR 2018, algorithm 2 (AMSGrad); PyTorch documentation, torch.optim.Adam, for weight decay that is
added to the gradient and for AMSGrad's maximum before bias correction.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Moments", "make_moments", "step_adam"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class Moments(NamedTuple):
    """What Adam remembers of past gradients, each float64 [parameters].

    Attributes:
        mean: moving average of the gradient.
        square: moving average of its square.
        largest: the highest ``square`` so far, used by AMSGrad.
    """

    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    largest: NDArray[np.float64]


@njit(cache=True)
def make_moments(size: int) -> Moments:
    """The moments before the first step."""
    return Moments(np.zeros(size), np.zeros(size), np.zeros(size))


@njit(cache=True, error_model="numpy")
def step_adam(
    parameters: NDArray[np.float64],
    gradient: NDArray[np.float64],
    moments: Moments,
    step: int,
    learning_rate: float,
    weight_decay: float,
    amsgrad: bool,
) -> None:
    """Moves ``parameters`` one step downhill, in place.

    Args:
        parameters: float64 [parameters]; overwritten.
        gradient: float64 [parameters], of the loss without weight decay.
        moments: overwritten.
        step: 1 for the first step.
        learning_rate: of this step.
        weight_decay: times the parameter is added to its gradient.
        amsgrad: whether step sizes may only shrink.
    """
    rate = learning_rate / (1.0 - _BETA_1**step)
    root_correction = 1.0 / math.sqrt(1.0 - _BETA_2**step)
    for i in range(parameters.shape[0]):
        slope = gradient[i] + weight_decay * parameters[i]
        moments.mean[i] += (1.0 - _BETA_1) * (slope - moments.mean[i])
        square = _BETA_2 * moments.square[i] + (1.0 - _BETA_2) * slope * slope
        moments.square[i] = square
        moments.largest[i] = max(moments.largest[i], square)
        size = moments.largest[i] if amsgrad else square
        parameters[i] -= rate * moments.mean[i] / (math.sqrt(size) * root_correction + _EPSILON)

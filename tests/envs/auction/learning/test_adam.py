"""Adam against PyTorch's on a toy problem."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs.auction.learning.adam import make_moments, step_adam
from tests.envs.auction.learning.torch_models import to_parameter, to_tensor

SCALES = np.array([1.0, 30.0, 0.01])
TARGET = np.array([0.7, -1.3, 2.0])


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 1e-2])
def test_adam__takes_pytorchs_steps(amsgrad: bool, weight_decay: float) -> None:
    """A stretched bowl whose slope changes sign often, so that AMSGrad's maximum binds."""
    parameter = to_parameter(np.zeros(3))
    optimiser = torch.optim.Adam([parameter], lr=0.1, weight_decay=weight_decay, amsgrad=amsgrad)
    own, moments = np.zeros(3), make_moments(3)
    for step in range(1, 301):
        optimiser.zero_grad()
        (to_tensor(SCALES) * (parameter - to_tensor(TARGET)) ** 2).sum().backward()
        optimiser.step()
        gradient = 2.0 * SCALES * (own - TARGET)
        step_adam(own, gradient, moments, step, 0.1, weight_decay, amsgrad)
        np.testing.assert_allclose(own, parameter.detach().numpy(), rtol=0.0, atol=1e-9)


def test_adam__amsgrad_matters_in_that_problem() -> None:
    """Or the comparison above could not tell the two apart."""
    paths = []
    for amsgrad in (False, True):
        own, moments, path = np.zeros(3), make_moments(3), []
        for step in range(1, 301):
            step_adam(own, 2.0 * SCALES * (own - TARGET), moments, step, 0.1, 0.0, amsgrad)
            path.append(own.copy())
        paths.append(np.array(path))
    assert np.abs(paths[0] - paths[1]).max() > 1e-4

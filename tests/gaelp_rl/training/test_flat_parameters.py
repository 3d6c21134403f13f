"""Networks that share one vector keep working as networks."""

from __future__ import annotations

import torch
from torch import nn

from gaelp_rl.training.flat_parameters import flatten_parameters


def _make_network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))


def test_flat_parameters__networks_see_and_write_the_vector() -> None:
    one, two = _make_network(), _make_network()
    inputs = torch.randn(5, 3)
    before = one(inputs), two(inputs)
    shared = flatten_parameters([list(one.parameters()), list(two.parameters())])
    torch.testing.assert_close((one(inputs), two(inputs)), before)
    assert [tuple(leaf.shape) for leaf in shared.stacked] == [(2, 4, 3), (2, 4), (2, 1, 4), (2, 1)]
    other = _make_network()
    two.load_state_dict(other.state_dict())
    torch.testing.assert_close(two(inputs), other(inputs))
    torch.testing.assert_close(shared.stacked[0][1].detach(), other[0].weight.detach())
    shared.flat.data.zero_()
    assert one(inputs).abs().max() == 0.0


def test_flat_parameters__gradients_of_the_leaves_gather_in_the_vector() -> None:
    network = _make_network()
    shared = flatten_parameters([list(network.parameters())])
    sum((leaf**2).sum() for leaf in shared.stacked).backward()
    torch.testing.assert_close(shared.flat.grad, 2.0 * shared.flat.detach())

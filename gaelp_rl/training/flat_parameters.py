"""Many parameters as views of one vector: one optimiser operation and one copy for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["FlatParameters", "flatten_parameters"]


@dataclass(frozen=True, slots=True)
class FlatParameters:
    """The parameters of equal networks in one vector.

    Attributes:
        flat: the vector, a leaf for an optimiser; its ``grad`` gathers the gradients of ``stacked``.
        stacked: by parameter of one network, a leaf [networks, *shape] that shares memory with ``flat``
            and with the networks' own parameters.
    """

    flat: nn.Parameter
    stacked: tuple[torch.Tensor, ...]


def flatten_parameters(networks: Sequence[Sequence[nn.Parameter]]) -> FlatParameters:
    """Moves parameters into one vector and lets the networks look at their part of it.

    The networks keep working: they read the new memory, ``load_state_dict`` writes into it, and
    ``state_dict`` is what it was.

    Args:
        networks: the parameters of each network, of the same shapes in the same order.
    """
    groups = list(zip(*networks, strict=True))
    flat = nn.Parameter(torch.cat([one.detach().reshape(-1) for group in groups for one in group]))
    flat.grad = torch.zeros_like(flat)
    stacked = []
    offset = 0
    for group in groups:
        shape = (len(group), *group[0].shape)
        part = slice(offset, offset + len(group) * group[0].numel())
        leaf = flat.data[part].view(shape).requires_grad_()
        leaf.grad = flat.grad[part].view(shape)
        for parameter, own_part in zip(group, leaf.detach(), strict=True):
            parameter.data = own_part
        stacked.append(leaf)
        offset = part.stop
    return FlatParameters(flat, tuple(stacked))

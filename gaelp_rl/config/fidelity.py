"""How closely a simulated market follows its auctions."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["FIDELITIES", "Fidelity"]

Fidelity = Literal["aggregate", "auction"]
"""``aggregate``: each hour's auctions integrated per cell; ``auction``: every impression is one."""

FIDELITIES: tuple[Fidelity, ...] = get_args(Fidelity)

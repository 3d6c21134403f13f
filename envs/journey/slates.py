"""How a policy fills a slate, and the working memory that kernels fill it in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.journey.stock_parameters import SessionSizes

__all__ = ["SlateMemory", "make_slate_memory", "offer_candidate"]


class SlateMemory(NamedTuple):
    """Arrays that every step of every user reuses.

    Attributes:
        positions: int64 [candidates]; the first ``slate_size`` are the slate, in slate order.
        best: float64 [slate]; what a greedy policy likes about each of them.
        scores: float64 [slate].
        weights: float64 [slate + 1].
    """

    positions: NDArray[np.int64]
    best: NDArray[np.float64]
    scores: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def slate_size(self) -> int:
        """Items of a slate."""
        return self.best.shape[0]


def make_slate_memory(sizes: SessionSizes) -> SlateMemory:
    """Uninitialised memory for slates of these sizes."""
    return SlateMemory(
        positions=np.zeros(sizes.num_candidates, dtype=np.int64),
        best=np.zeros(sizes.slate_size),
        scores=np.zeros(sizes.slate_size),
        weights=np.zeros(sizes.slate_size + 1),
    )


@njit(cache=True, inline="always")
def offer_candidate(positions: NDArray[np.int64], best: NDArray[np.float64], candidate: int, liking: float) -> None:
    """Keeps the slate the best of the candidates offered so far; of equals, the first offered.

    Args:
        positions: int64 [at least slate]; of a ``SlateMemory``, updated.
        best: float64 [slate]; of the same, updated.
        candidate: position, offered in rising order from 0.
        liking: more is better.
    """
    last = best.shape[0] - 1
    if candidate > last and liking <= best[last]:
        return
    place = min(candidate, last)
    while place > 0 and best[place - 1] < liking:
        best[place] = best[place - 1]
        positions[place] = positions[place - 1]
        place -= 1
    best[place] = liking
    positions[place] = candidate

"""A binary tree of partial sums: draw in proportion to priority in logarithmic time."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.errors import DataError

__all__ = ["SumTree"]


@njit(cache=True)
def _set_leaves(nodes: FloatArray, first_leaf: int, indices: IntArray, priorities: FloatArray) -> None:
    for i in range(indices.shape[0]):
        node = first_leaf + indices[i]
        nodes[node] = priorities[i]
        node >>= 1
        while node >= 1:
            nodes[node] = nodes[2 * node] + nodes[2 * node + 1]
            node >>= 1


@njit(cache=True)
def _find_leaves(nodes: FloatArray, first_leaf: int, targets: FloatArray, found: IntArray) -> None:
    for i in range(targets.shape[0]):
        node, target = 1, targets[i]
        while node < first_leaf:
            node *= 2
            left = nodes[node]
            # The right side is entered only where something lies there: rounding never reaches an empty leaf.
            if target >= left and nodes[node + 1] > 0.0:
                target -= left
                node += 1
        found[i] = node - first_leaf


class SumTree:
    """Non-negative priorities of ``capacity`` leaves and the sums above them, in float64.

    A parent is always recomputed from its children, so no rounding error accumulates.

    Source: Schaul, Quan, Antonoglou and Silver 2016, "Prioritized Experience Replay", appendix B.2.1.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._first_leaf = 1 << max(capacity - 1, 1).bit_length()
        self._nodes: FloatArray = np.zeros(2 * self._first_leaf)

    @property
    def total(self) -> float:
        """Sum of all priorities."""
        return float(self._nodes[1])

    def get(self, indices: IntArray) -> FloatArray:
        """Priorities of leaves.

        Args:
            indices: int64 [n], in [0, capacity).

        Returns:
            float64 [n].
        """
        return np.asarray(self._nodes[self._first_leaf + indices])

    def set(self, indices: IntArray, priorities: FloatArray) -> None:
        """Sets priorities; of an index that appears twice, the later one stays.

        Args:
            indices: int64 [n], in [0, capacity).
            priorities: float64 [n], finite and at least 0.

        Raises:
            DataError: an index or a priority is out of range.
        """
        if indices.size == 0:
            return
        if indices.min() < 0 or indices.max() >= self.capacity:
            msg = f"sum tree index {indices.min()}..{indices.max()} must lie in [0, {self.capacity})"
            raise DataError(msg)
        if not (np.isfinite(priorities).all() and priorities.min() >= 0.0):
            msg = f"priorities must be finite and at least 0; the smallest is {priorities.min()!r}: check the TD errors"
            raise DataError(msg)
        _set_leaves(self._nodes, self._first_leaf, indices, priorities)

    def sample_stratified(self, count: int, rng: np.random.Generator) -> IntArray:
        """Draws leaves with probability priority / total, one from each of ``count`` equal strata.

        Args:
            count: how many to draw, with replacement.
            rng: source of the draws.

        Returns:
            int64 [count], leaves of positive priority.

        Raises:
            DataError: all priorities are zero.
        """
        if self.total <= 0.0:
            msg = "the sum tree holds no positive priority: add transitions before sampling"
            raise DataError(msg)
        targets = (np.arange(count) + rng.random(count)) * (self.total / count)
        found: NDArray[np.int64] = np.empty(count, dtype=np.int64)
        _find_leaves(self._nodes, self._first_leaf, targets, found)
        return found

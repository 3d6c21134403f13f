"""Agents that have nothing to learn: the oracle knows every click probability, the truthful bid is the worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords, BidDraw
from envs.auction.kernels import find_best_items, make_bench

__all__ = ["OracleAllocator", "TruthfulBidder"]


class OracleAllocator:
    """Offers the item with the highest true worth and knows its click probability.

    Args:
        weights: float64 [items, d + 1]; the items' true weights, intercept last.
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self._weights = np.ascontiguousarray(weights)

    def select(
        self, contexts: NDArray[np.float64], item_values: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Picks for each context the item with the highest worth; see `Allocator.select`."""
        bench = make_bench(contexts.shape[1] - 1, contexts.shape[0])
        bench.contexts[:] = contexts[:, :-1].T
        find_best_items(self._weights, np.ascontiguousarray(item_values), contexts.shape[0], bench)
        return bench.item, bench.ctr

    def update(self, records: AgentRecords) -> None:
        """There is nothing to learn."""


class TruthfulBidder:
    """Bids the expected worth of an impression."""

    def draw(self, item_values: NDArray[np.float64], estimated_ctr: NDArray[np.float64]) -> BidDraw:
        """Bids value times click probability; see `Bidder.draw`."""
        ones = np.ones_like(item_values)
        return BidDraw(item_values * estimated_ctr, ones, ones)

    def update(self, records: AgentRecords) -> None:
        """There is nothing to learn."""

"""What an advertiser in the auction is made of: an allocator, a bidder, and the records they learn from.

An allocator picks the item to show and estimates its click probability; a bidder turns the item's expected
worth into a bid by a shading factor gamma. Both work on whole batches and learn once per iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["AgentRecords", "Allocator", "BidDraw", "Bidder"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class AgentRecords:
    """One agent's log of an iteration: the n auctions it took part in, in order. Money in USD.

    Attributes:
        context: float64 [n, c]; what the agent saw, a constant 1 last.
        item: int64 [n]; index of the item that it offered.
        item_value: float64 [n]; what a click on that item is worth to it.
        estimated_ctr: float64 [n]; click probability by its own estimate.
        true_ctr: float64 [n]; click probability in truth (hidden from the agent).
        best_expected_value: float64 [n]; the highest true expected worth in its catalogue (hidden).
        bid: float64 [n]; per impression.
        gamma: float64 [n]; shading factor of the bid, 1 for a truthful one.
        propensity: float64 [n]; density with which gamma was drawn, 1 where nothing was drawn.
        price: float64 [n]; price as logged: paid if won, else what the auction cost its winner.
        second_price: float64 [n]; the least that would have won, 0 if not won.
        click: float64 [n]; 1 if won and clicked, else 0.
        won: bool [n].
    """

    context: FloatArray
    item: IntArray
    item_value: FloatArray
    estimated_ctr: FloatArray
    true_ctr: FloatArray
    best_expected_value: FloatArray
    bid: FloatArray
    gamma: FloatArray
    propensity: FloatArray
    price: FloatArray
    second_price: FloatArray
    click: FloatArray
    won: BoolArray

    def __len__(self) -> int:
        return int(self.item.shape[0])

    def compute_utility(self) -> FloatArray:
        """Worth of the click minus the logged price where won, else 0: float64 [n], USD."""
        return np.where(self.won, self.item_value * self.click - self.price, 0.0)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """One log of several, at least one, in their order."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def keep_last(self, count: int) -> Self:
        """The last ``count`` records; none for 0."""
        first = max(len(self) - count, 0)
        return type(self)(*(getattr(self, f.name)[first:] for f in fields(self)))


class BidDraw(NamedTuple):
    """Bids of a batch and how they came about, each float64 [n].

    Attributes:
        bid: USD per impression, gamma x the expected worth.
        gamma: shading factor.
        propensity: density with which gamma was drawn, 1 where nothing was drawn.
    """

    bid: FloatArray
    gamma: FloatArray
    propensity: FloatArray


@runtime_checkable
class Allocator(Protocol):
    """Chooses what an agent offers."""

    def select(self, contexts: FloatArray, item_values: FloatArray) -> tuple[IntArray, FloatArray]:
        """Picks the item with the highest estimated worth for each context.

        Args:
            contexts: float64 [n, c] as the agent sees them, a constant 1 last.
            item_values: float64 [items], USD per click.

        Returns:
            Items int64 [n] and their estimated click probabilities float64 [n].
        """
        ...

    def update(self, records: AgentRecords) -> None:
        """Learns from the records of an iteration."""
        ...


@runtime_checkable
class Bidder(Protocol):
    """Chooses what an agent bids."""

    def draw(self, item_values: FloatArray, estimated_ctr: FloatArray) -> BidDraw:
        """Bids for a batch of offers.

        Args:
            item_values: float64 [n], USD per click of the offered items.
            estimated_ctr: float64 [n], their estimated click probabilities.
        """
        ...

    def update(self, records: AgentRecords) -> None:
        """Learns from the records of an iteration."""
        ...

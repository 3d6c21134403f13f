"""How an auction is cleared: who wins which slot, and what it costs.

Slots go to the highest bids in turn, the earlier position first where two are equal. A first-price slot
costs the winner's own bid, a second-price slot the next bid below it (generalised second price on bids
that are expected values of an impression).

Source: Edelman, Ostrovsky, Schwarz, "Internet advertising and the generalized second-price auction",
American Economic Review 97(1), 2007; AuctionGym (Apache-2.0) for the rule that a slot needs a next bid.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["clear_auction"]


@njit(cache=True, inline="always")
def _find_next(bids: NDArray[np.float64], floor: float, last_bid: float, last: int) -> int:
    """The position of the highest bid that ranks below (``last_bid``, ``last``), or -1."""
    best, best_bid = -1, -math.inf
    for i in range(bids.shape[0]):
        bid = bids[i]
        if bid >= floor and (bid < last_bid or (bid == last_bid and i > last)) and (best < 0 or bid > best_bid):
            best, best_bid = i, bid
    return best


@njit(cache=True, inline="always")
def clear_auction(
    bids: NDArray[np.float64],
    num_slots: int,
    first_price: bool,
    floor: float,
    sell_all: bool,
    winners: NDArray[np.int64],
    prices: NDArray[np.float64],
    second_prices: NDArray[np.float64],
) -> int:
    """Sells up to ``num_slots`` slots; nothing is allocated, so that it may run millions of times.

    Args:
        bids: float64 [bidders], USD per impression; a NaN takes no part.
        num_slots: slots on offer, at least 0.
        first_price: True if a winner pays its own bid, False if it pays the next.
        floor: bids below it take no part, USD; minus infinity where there is none and ``sell_all`` is False.
        sell_all: True to sell a slot to every bidder while there are slots, at the floor where no next bid
            sets a price. False is AuctionGym's way: the lowest bidder never wins, for want of a next bid.
        winners: int64 [>= num_slots]; overwritten for the filled slots with positions in ``bids``.
        prices: float64 [>= num_slots]; overwritten likewise with what each winner pays, USD.
        second_prices: float64 [>= num_slots]; overwritten likewise with the least that would have won, USD.

    Returns:
        How many slots were filled.
    """
    filled = 0
    best = _find_next(bids, floor, math.inf, -1)
    while best >= 0 and filled < num_slots:
        runner_up = _find_next(bids, floor, bids[best], best)
        if runner_up < 0 and not sell_all:
            break
        next_bid = bids[runner_up] if runner_up >= 0 else floor
        winners[filled] = best
        prices[filled] = bids[best] if first_price else next_bid
        second_prices[filled] = next_bid
        filled += 1
        best = runner_up
    return filled

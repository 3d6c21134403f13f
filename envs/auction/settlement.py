"""What an auction does to those who took part: who is shown, who clicks, who pays, what each one logs.

Source: AuctionGym (Apache-2.0), its settlement and the definitions of its metrics.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.mechanism import clear_auction
from envs.auction.rounds import Terms

__all__ = [
    "Offers",
    "Outcomes",
    "Total",
    "add_log_totals",
    "add_money_totals",
    "make_offers",
    "make_outcomes",
    "settle_rounds",
]


class Total(IntEnum):
    """What is summed per agent over an iteration: its place in a row of totals. Money in USD.

    The first two are of the iteration; the others are of the records in the log, which hold earlier
    auctions as well where an agent has a memory.
    """

    GROSS_UTILITY = 0
    SPEND = 1
    RECORDS = 2
    WON = 3
    CLICKS = 4
    ALLOCATION_REGRET = 5
    ESTIMATION_REGRET = 6
    OVERBID_REGRET = 7
    UNDERBID_REGRET = 8
    SQUARED_CTR_ERROR = 9
    CTR_RATIO = 10
    BEST_EXPECTED_VALUE = 11
    BID = 12
    TRUE_CTR = 13
    ITEM_VALUE = 14
    GAMMA = 15


_GROSS, _SPEND = int(Total.GROSS_UTILITY), int(Total.SPEND)
_RECORDS, _WON, _CLICKS = int(Total.RECORDS), int(Total.WON), int(Total.CLICKS)
_ALLOCATION, _ESTIMATION = int(Total.ALLOCATION_REGRET), int(Total.ESTIMATION_REGRET)
_OVERBID, _UNDERBID = int(Total.OVERBID_REGRET), int(Total.UNDERBID_REGRET)
_SQUARED_ERROR, _RATIO = int(Total.SQUARED_CTR_ERROR), int(Total.CTR_RATIO)
_BEST, _BID, _TRUE_CTR = int(Total.BEST_EXPECTED_VALUE), int(Total.BID), int(Total.TRUE_CTR)
_ITEM_VALUE, _GAMMA = int(Total.ITEM_VALUE), int(Total.GAMMA)


class Offers(NamedTuple):
    """What participants bring, one entry per participation (auction r, participant p: r * k + p).

    Attributes:
        item: int64; within the agent's own catalogue.
        item_value: float64, USD per click.
        estimated_ctr: float64; by the agent's estimate.
        true_ctr: float64.
        best_expected_value: float64, USD per impression; of the agent's best item in truth.
        bid: float64, USD per impression.
        gamma: float64; shading factor.
    """

    item: NDArray[np.int64]
    item_value: NDArray[np.float64]
    estimated_ctr: NDArray[np.float64]
    true_ctr: NDArray[np.float64]
    best_expected_value: NDArray[np.float64]
    bid: NDArray[np.float64]
    gamma: NDArray[np.float64]


class Outcomes(NamedTuple):
    """What became of each participation, in the order of the offers.

    Attributes:
        price: float64, USD; as the record holds it.
        spend: float64, USD; as paid, 0 if not won.
        second_price: float64, USD; the least that would have won, 0 if not won.
        click: float64; 0 or 1.
        won: bool.
    """

    price: NDArray[np.float64]
    spend: NDArray[np.float64]
    second_price: NDArray[np.float64]
    click: NDArray[np.float64]
    won: NDArray[np.bool_]


def make_offers(size: int) -> Offers:
    """Room for ``size`` participations, unfilled."""
    return Offers(np.empty(size, dtype=np.int64), *(np.empty(size) for _ in range(6)))


def make_outcomes(size: int) -> Outcomes:
    """Room for ``size`` participations, unfilled."""
    price, spend, second_price, click = (np.empty(size) for _ in range(4))
    return Outcomes(price, spend, second_price, click, np.empty(size, dtype=np.bool_))


@njit(cache=True, error_model="numpy")
def settle_rounds(
    count: int,
    terms: Terms,
    num_slots: NDArray[np.int64],
    click_noise: NDArray[np.float64],
    offers: Offers,
    outcomes: Outcomes,
) -> None:
    """Clears ``count`` auctions and settles them.

    Every record ends with the price of the last filled slot, which is what its agent would have had to beat;
    a winner's record ends with the price that it paid if ``terms.keep_own_price``.

    Args:
        count: auctions.
        terms: the rules.
        num_slots: int64 [>= count].
        click_noise: float64 [>= count * max_slots], uniform.
        offers: of count * k participations.
        outcomes: overwritten.
    """
    k, max_slots = terms.num_participants, terms.max_slots
    winners = np.empty(max_slots, dtype=np.int64)
    prices, second_prices = np.empty(max_slots), np.empty(max_slots)
    for r in range(count):
        first = r * k
        filled = clear_auction(
            offers.bid[first : first + k],
            num_slots[r],
            terms.first_price,
            terms.floor,
            terms.sell_all,
            winners,
            prices,
            second_prices,
        )
        last_price = prices[filled - 1] if filled > 0 else 0.0
        for q in range(first, first + k):
            outcomes.price[q] = last_price
            outcomes.spend[q] = 0.0
            outcomes.second_price[q] = 0.0
            outcomes.click[q] = 0.0
            outcomes.won[q] = False
        for j in range(filled):
            q = first + winners[j]
            outcomes.won[q] = True
            outcomes.spend[q] = prices[j]
            outcomes.second_price[q] = second_prices[j]
            outcomes.click[q] = 1.0 if click_noise[r * max_slots + j] < offers.true_ctr[q] else 0.0
            if terms.keep_own_price:
                outcomes.price[q] = prices[j]


@njit(cache=True, error_model="numpy")
def add_money_totals(
    count: int, agents: NDArray[np.int64], offers: Offers, outcomes: Outcomes, totals: NDArray[np.float64]
) -> None:
    """Adds the gross utility and the spend of these auctions.

    Args:
        count: participations.
        agents: int64 [>= count]; whose each is.
        offers: as made.
        outcomes: as settled.
        totals: float64 [agents, len(Total)]; added to.
    """
    for q in range(count):
        if outcomes.won[q]:
            row = totals[agents[q]]
            row[_GROSS] += offers.item_value[q] * outcomes.click[q]
            row[_SPEND] += outcomes.spend[q]


@njit(cache=True, error_model="numpy")
def add_log_totals(
    count: int, agents: NDArray[np.int64], offers: Offers, outcomes: Outcomes, totals: NDArray[np.float64]
) -> None:
    """Adds what is read from records: counts, regrets, errors of estimation, sums. Arguments as `add_money_totals`."""
    for q in range(count):
        row = totals[agents[q]]
        item_value, true_ctr, estimated_ctr = offers.item_value[q], offers.true_ctr[q], offers.estimated_ctr[q]
        expected_value = true_ctr * item_value
        price, bid = outcomes.price[q], offers.bid[q]
        row[_RECORDS] += 1.0
        row[_ALLOCATION] += offers.best_expected_value[q] - expected_value
        row[_ESTIMATION] += estimated_ctr * item_value - expected_value
        row[_SQUARED_ERROR] += (true_ctr - estimated_ctr) * (true_ctr - estimated_ctr)
        row[_BEST] += offers.best_expected_value[q]
        row[_BID] += bid
        row[_TRUE_CTR] += true_ctr
        row[_ITEM_VALUE] += item_value
        row[_GAMMA] += offers.gamma[q]
        if outcomes.won[q]:
            row[_WON] += 1.0
            row[_CLICKS] += outcomes.click[q]
            row[_OVERBID] += price - outcomes.second_price[q]
            row[_RATIO] += estimated_ctr / true_ctr
        elif price < expected_value:
            row[_UNDERBID] += price - bid

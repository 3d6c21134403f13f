"""The auction's rules, as properties and against a slow independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envs.auction.mechanism import clear_auction
from tests.envs.auction.slow_auction import clear

BID = st.one_of(st.floats(0.0, 10.0), st.sampled_from([0.0, 0.5, 1.0]))
BIDS = st.lists(BID, min_size=1, max_size=8)
SLOTS = st.integers(0, 6)
FLOOR = st.sampled_from([0.0, 0.25, 1.0])


def run(bids, num_slots, first_price, floor=0.0, sell_all=True):
    """(winner, price, second price) per filled slot."""
    winners, prices, seconds = np.full(8, -1), np.full(8, np.nan), np.full(8, np.nan)
    filled = clear_auction(np.array(bids), num_slots, first_price, floor, sell_all, winners, prices, seconds)
    assert (winners[filled:] == -1).all()
    return list(zip(winners[:filled].tolist(), prices[:filled].tolist(), seconds[:filled].tolist(), strict=True))


@given(BIDS, SLOTS, st.booleans(), FLOOR, st.booleans())
def test_clear_auction__is_the_sorted_list(bids, num_slots, first_price, floor, sell_all):
    assert run(bids, num_slots, first_price, floor, sell_all) == clear(bids, num_slots, first_price, floor, sell_all)


@given(BIDS, SLOTS, st.booleans(), FLOOR, st.booleans())
def test_clear_auction__has_one_price_per_winner_between_floor_and_bid(bids, num_slots, first_price, floor, sell_all):
    sales = run(bids, num_slots, first_price, floor, sell_all)
    assert len({winner for winner, _, _ in sales}) == len(sales) <= num_slots
    for winner, price, second_price in sales:
        assert floor <= second_price <= price <= bids[winner]


@given(BIDS, SLOTS, st.booleans(), FLOOR)
def test_clear_auction__sells_one_slot_per_bidder_while_there_are_slots(bids, num_slots, first_price, floor):
    able = sum(bid >= floor for bid in bids)
    assert len(run(bids, num_slots, first_price, floor, sell_all=True)) == min(able, num_slots)
    assert len(run(bids, num_slots, first_price, floor, sell_all=False)) == min(max(able - 1, 0), num_slots)


@given(BIDS, st.booleans(), FLOOR, st.booleans(), st.floats(0.0, 5.0), st.data())
def test_clear_auction__a_higher_bid_keeps_the_auction_and_its_price(bids, first_price, floor, sell_all, more, data):
    """Of one slot; with several a higher bid may move to a dearer slot."""
    sales = run(bids, 1, first_price, floor, sell_all)
    assume(sales)
    winner, price, _ = sales[0]
    raised = [bid + more if place == winner else bid for place, bid in enumerate(bids)]
    again = run(raised, 1, first_price, floor, sell_all)
    assert again[0][0] == winner
    assert again[0][1] == (raised[winner] if first_price else price)


@given(BIDS, SLOTS, st.booleans(), FLOOR, st.booleans(), st.floats(0.0, 5.0), st.data())
def test_clear_auction__a_higher_bid_never_loses_a_slot(bids, num_slots, first_price, floor, sell_all, more, data):
    sales = run(bids, num_slots, first_price, floor, sell_all)
    assume(sales)
    slot = data.draw(st.integers(0, len(sales) - 1))
    place = sales[slot][0]
    raised = [bid + more if i == place else bid for i, bid in enumerate(bids)]
    slots = [winner for winner, _, _ in run(raised, num_slots, first_price, floor, sell_all)]
    assert place in slots
    assert slots.index(place) <= slot


@given(
    st.lists(st.floats(0.0, 10.0), min_size=1, max_size=8, unique=True), SLOTS, st.booleans(), st.booleans(), st.data()
)
def test_clear_auction__permuted_bidders_permute_the_outcome(bids, num_slots, first_price, sell_all, data):
    order = data.draw(st.permutations(range(len(bids))))
    permuted = run([bids[i] for i in order], num_slots, first_price, 0.0, sell_all)
    sales = run(bids, num_slots, first_price, 0.0, sell_all)
    assert [(order[winner], price, second) for winner, price, second in permuted] == sales


def test_clear_auction__the_first_of_equal_bids_ranks_first():
    assert run([1.0, 2.0, 2.0, 2.0], 3, True) == [(1, 2.0, 2.0), (2, 2.0, 2.0), (3, 2.0, 1.0)]


def test_clear_auction__auctiongym_leaves_the_lowest_bidder_unsold():
    """Two bidders, two slots: AuctionGym sells one, for want of a third bid."""
    assert run([1.0, 3.0], 2, False, -np.inf, sell_all=False) == [(1, 1.0, 1.0)]
    assert run([1.0, 3.0], 2, False) == [(1, 1.0, 1.0), (0, 0.0, 0.0)]


@pytest.mark.parametrize("sell_all", [True, False])
def test_clear_auction__a_bid_that_is_no_number_takes_no_part(sell_all):
    assert [winner for winner, _, _ in run([np.nan, 1.0, 2.0], 3, True, 0.0, sell_all)] == ([2, 1] if sell_all else [2])

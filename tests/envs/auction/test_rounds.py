"""Chance has AuctionGym's distributions, and does not depend on how a run is cut into pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from envs.auction.rounds import draw_rounds, group_by_agent, make_rounds, make_streams, make_terms
from tests.envs.auction.reference_data import make_config

TERMS = make_terms(make_config(max_slots=3, embedding_var=0.5), compat=True)
STREAM = make_streams([3])[0]


def draw(first, count, terms=TERMS, stream=STREAM):
    rounds = make_rounds(terms, count)
    draw_rounds(stream, first, count, terms, True, rounds)
    return rounds


@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(0, 40))
def test_draw_rounds__a_piece_is_the_same_as_the_whole(first, count, skip):
    whole, piece = draw(first, skip + count), draw(first + skip, count)
    k = TERMS.num_participants
    assert (whole.context[:, skip:] == piece.context).all()
    assert (whole.num_slots[skip:] == piece.num_slots).all()
    assert (whole.participants[skip * k :] == piece.participants).all()
    assert (whole.click_noise[skip * 3 :] == piece.click_noise).all()
    assert (whole.gamma_noise[skip * k :] == piece.gamma_noise).all()


def test_draw_rounds__contexts_slots_and_clicks_have_their_distributions():
    rounds = draw(0, 20_000)
    for row in rounds.context:
        assert stats.kstest(row / 0.5, "norm").pvalue > 1e-3
    assert stats.kstest(rounds.gamma_noise, "norm").pvalue > 1e-3
    assert stats.kstest(rounds.click_noise, "uniform").pvalue > 1e-3
    assert stats.chisquare(np.bincount(rounds.num_slots)[1:]).pvalue > 1e-3
    columns = np.vstack((rounds.context, rounds.num_slots, rounds.click_noise.reshape(-1, 3).T))
    correlation = np.corrcoef(columns) - np.eye(columns.shape[0])
    assert np.abs(correlation).max() < 5.0 / np.sqrt(20_000)


def test_draw_rounds__every_ordered_choice_of_participants_is_equally_likely():
    """Three of four agents: 24 ordered choices."""
    participants = draw(0, 24_000).participants.reshape(-1, 3)
    choices, counts = np.unique(participants, axis=0, return_counts=True)
    assert choices.shape == (24, 3)
    assert all(len(set(choice)) == 3 for choice in choices.tolist())
    assert stats.chisquare(counts).pvalue > 1e-3


def test_draw_rounds__everybody_takes_part_where_there_are_as_many_as_places():
    terms = TERMS._replace(num_participants=4)
    assert (np.sort(draw(0, 50, terms).participants.reshape(-1, 4), axis=1) == np.arange(4)).all()


def test_streams__differ_between_worlds_and_repeat():
    first, second = (draw(0, 100, stream=stream).context for stream in make_streams([0, 1]))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.3
    assert (make_streams([0, 1]) == make_streams([0, 1])).all()
    assert len(set(make_streams(range(1000)).tolist())) == 1000


@given(st.lists(st.integers(0, 4), max_size=40))
def test_group_by_agent__lists_places_in_order_of_time(agents):
    starts, order = np.empty(6, dtype=np.int64), np.empty(len(agents), dtype=np.int64)
    group_by_agent(np.array(agents, dtype=np.int64), len(agents), starts, order)
    for agent in range(5):
        expected = [place for place, listed in enumerate(agents) if listed == agent]
        assert order[starts[agent] : starts[agent + 1]].tolist() == expected

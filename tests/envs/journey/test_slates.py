"""Slates: the best of what was offered, or drawn without replacement."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from envs.journey.slates import make_slate_memory, offer_candidate
from envs.journey.stock_parameters import SessionSizes
from envs.journey.user_streams import SLATE_SLOT, draw_positions, make_run_key, make_user_keys


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.data())
def test_offers__keep_the_best_in_order_and_the_earlier_of_equals(likings: list[int], data) -> None:
    size = data.draw(st.integers(1, len(likings)))
    memory = make_slate_memory(SessionSizes(len(likings), size))
    for candidate, liking in enumerate(likings):
        offer_candidate(memory.positions, memory.best, candidate, float(liking))
    expected = np.argsort(-np.array(likings), kind="stable")[:size]
    assert memory.positions[:size].tolist() == expected.tolist()


def test_draws__are_ordered_samples_without_replacement() -> None:
    """All 5 x 4 ordered pairs are equally frequent, over users and steps."""
    counts, order = np.zeros((5, 5)), np.empty(5, dtype=np.int64)
    for key in make_user_keys(make_run_key(0), np.arange(400)):
        for step in range(1, 26):
            draw_positions(key, step, SLATE_SLOT, 1, 2, order)
            assert sorted(order) == [0, 1, 2, 3, 4]
            counts[order[0], order[1]] += 1
    pairs = counts[~np.eye(5, dtype=bool)]
    assert pairs.sum() == 10_000
    assert stats.chisquare(pairs).pvalue > 1e-3

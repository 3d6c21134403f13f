"""The compiled path's pieces that the engine's tests do not reach."""

from __future__ import annotations

import pytest

from envs.auction.fused import CHUNK_ROUNDS, choose_chunk_rounds
from envs.auction.rounds import make_terms
from tests.envs.auction.reference_data import make_config


@pytest.mark.parametrize(
    ("agents", "rounds", "chunk"),
    [(4, 10, 10), (4, 10**9, CHUNK_ROUNDS), (300, 10**9, 12_800), (10**6, 10**9, 16_384)],
)
def test_chunk__grows_with_agents_and_stays_bounded(agents, rounds, chunk):
    """Three participants: 300 agents make 128 offers each in 12,800 auctions."""
    terms = make_terms(make_config(), compat=True)._replace(num_agents=agents)
    assert choose_chunk_rounds(terms, rounds) == chunk

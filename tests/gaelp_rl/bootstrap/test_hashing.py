"""Keys: the same text the same key wherever it stands, different texts different keys."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.bootstrap.hashing import combine_keys, hash_strings

TEXTS = st.lists(st.none() | st.text(max_size=12), max_size=30)


@given(TEXTS, TEXTS)
def test_hash_strings__is_a_function_of_the_text_alone(before, texts):
    """Equal in another batch, behind other texts, and in a slice."""
    alone = hash_strings(pa.array(texts, pa.string()))
    behind = hash_strings(pa.array(before + texts, pa.string()).slice(len(before)))
    np.testing.assert_array_equal(alone, behind)
    assert [key == 0 for key in alone.tolist()] == [text is None for text in texts]
    assert len(set(alone.tolist())) == len(set(texts))


def test_hash_strings__tells_many_ids_apart():
    ids = pa.array([f"{i}.{1_700_000_000 + i % 97}" for i in range(200_000)])
    assert np.unique(hash_strings(ids)).size == 200_000


def test_combine_keys__depends_on_every_column_and_on_their_order():
    a, b = np.arange(1000, dtype=np.uint64), np.arange(5000, 6000, dtype=np.uint64)
    keys = np.concatenate((combine_keys(a, b), combine_keys(b, a), combine_keys(a), combine_keys(b, b)))
    assert np.unique(keys).size == 4000

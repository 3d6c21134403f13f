"""A bit generator that hands out recorded uniforms, so that NumPy's own drawing code runs on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import MT19937

_STATE_WORDS = 624


def make_recorded_stream(uniforms: Sequence[float]) -> MT19937:
    """An MT19937 whose next doubles are these.

    A double is made of two 32-bit outputs, ((a >> 5) * 2**26 + (b >> 6)) / 2**53 (genrand_res53, Matsumoto
    and Nishimura 1998), and the outputs are the state's words, tempered, which can be undone.
    """
    words = []
    for uniform in uniforms:
        mantissa = round(uniform * 2**53)
        assert mantissa / 2**53 == uniform
        words += [(mantissa >> 26) << 5, (mantissa & (2**26 - 1)) << 6]
    assert len(words) <= _STATE_WORDS
    key = np.zeros(_STATE_WORDS, dtype=np.uint32)
    key[: len(words)] = [_untemper(word) for word in words]
    stream = MT19937()
    stream.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 0}}
    return stream


def _untemper(output: int) -> int:
    word = output ^ (output >> 18)
    word ^= (word << 15) & 0xEFC60000
    low = word
    for _ in range(4):
        low = word ^ ((low << 7) & 0x9D2C5680)
    high = low
    for _ in range(2):
        high = low ^ (high >> 11)
    return high & 0xFFFFFFFF

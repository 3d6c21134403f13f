"""What an hour truly brought."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["Outcome", "make_outcome"]


class Outcome(NamedTuple):
    """What truly happened in the hour, for reward and judgement; never part of a report.

    Attributes:
        spend_micros: int64 [worlds, channels].
        expected_conversions: float64 [worlds, channels]; realised clicks times their true CVR.
        conversions: int64 [worlds, channels]; drawn, reported or not.
        clicks: int64 [worlds, channels].
        edits: int64 [worlds, channels]; 1 where bid or budget changed.
        edit_size: float64 [worlds, channels]; absolute log change of the bid.
        learning: int64 [worlds, channels]; 1 in a learning phase.
    """

    spend_micros: IntArray
    expected_conversions: FloatArray
    conversions: IntArray
    clicks: IntArray
    edits: IntArray
    edit_size: FloatArray
    learning: IntArray


def make_outcome(num_worlds: int) -> Outcome:
    """An outcome in which nothing has happened."""
    shape = (num_worlds, NUM_CHANNELS)
    return Outcome(
        spend_micros=np.zeros(shape, dtype=np.int64),
        expected_conversions=np.zeros(shape),
        conversions=np.zeros(shape, dtype=np.int64),
        clicks=np.zeros(shape, dtype=np.int64),
        edits=np.zeros(shape, dtype=np.int64),
        edit_size=np.zeros(shape),
        learning=np.zeros(shape, dtype=np.int64),
    )

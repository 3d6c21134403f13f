"""Streams of users neither meet nor overlap."""

from __future__ import annotations

import numpy as np
import pytest

from envs.journey import user_streams
from envs.journey.user_streams import make_run_key, make_user_keys
from envs.market.noise import SLOTS_PER_HOUR
from gaelp_rl.errors import ConfigError


def test_keys__differ_over_users_and_runs() -> None:
    keys = np.concatenate([make_user_keys(make_run_key(seed), np.arange(20_000)) for seed in range(5)])
    assert np.unique(keys).size == keys.size


def test_slots__do_not_overlap() -> None:
    """Two for each of at most 1,000 candidates, one for each of at most 1,000 places and drifts, then events."""
    ranges = {"SLATE_SLOT", "DRIFT_SLOT"}
    names = [name for name in user_streams.__all__ if name.endswith("_SLOT") and name not in ranges]
    events = [getattr(user_streams, name) for name in names]
    assert len(set(events)) == len(events) == 7
    assert user_streams.SLATE_SLOT >= 2 * 1_000
    assert user_streams.DRIFT_SLOT >= user_streams.SLATE_SLOT + 1_000
    assert min(events) >= user_streams.DRIFT_SLOT + 1_000
    assert max(events) < SLOTS_PER_HOUR


def test_run__refuses_a_negative_seed() -> None:
    with pytest.raises(ConfigError, match="seed is -1"):
        make_run_key(-1)

"""A prefilled replay holds the artefact's transitions, drawn by their TD errors."""

from __future__ import annotations

import numpy as np

from gaelp_rl.bootstrap.transitions import TransitionDays
from gaelp_rl.training.offline.warm_start import prefill_replay
from gaelp_rl.training.replay import ArrayPrioritizedReplay, ReplaySettings


def _make(days, capacity_days):
    rng = np.random.default_rng(0)
    made = TransitionDays(
        rng.random((25, days, 3), dtype=np.float32),
        rng.random((24, days, 2), dtype=np.float32),
        rng.random((24, days), dtype=np.float32),
        np.zeros((24, days), dtype=np.float32),
        np.zeros(days, dtype=np.bool_),
    )
    settings = ReplaySettings(24 * capacity_days, 24, 3, 2, gamma=0.9, alpha=1.0, epsilon=0.0)
    return made, ArrayPrioritizedReplay(settings, np.random.SeedSequence(0))


def test_prefill_replay__holds_the_transitions_at_their_priorities():
    days, replay = _make(3, 5)
    td_errors = np.arange(72, dtype=np.float32).reshape(24, 3)
    prefill_replay(replay, days, td_errors)
    state = replay.get_state()
    np.testing.assert_array_equal(state["observations"], days.observations.swapaxes(0, 1))
    np.testing.assert_array_equal(state["rewards"], days.rewards.T)
    np.testing.assert_allclose(state["priorities"], td_errors.T.ravel())


def test_prefill_replay__keeps_the_newest_days_where_not_all_fit():
    days, replay = _make(6, 2)
    prefill_replay(replay, days, np.ones((24, 6), dtype=np.float32))
    np.testing.assert_array_equal(replay.get_state()["actions"], days.actions[:, 4:].swapaxes(0, 1))

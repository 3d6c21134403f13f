"""Array replay: what goes in comes out, in proportion, and survives a checkpoint."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from gaelp_rl.errors import CheckpointError, ConfigError, DataError
from gaelp_rl.training.fragment import ArrayFragment
from gaelp_rl.training.replay import ArrayPrioritizedReplay, ReplaySettings

_STEPS = 4
_SETTINGS = ReplaySettings(capacity=8 * _STEPS, steps=_STEPS, observation_size=2, action_size=1, gamma=0.5, n_step=2)


def _make_replay(settings: ReplaySettings = _SETTINGS, seed: int = 0) -> ArrayPrioritizedReplay:
    return ArrayPrioritizedReplay(settings, np.random.SeedSequence(seed))


def _make_fragment(worlds: int = 2, first: int = 0, terminated: bool = False) -> ArrayFragment:
    """Observation features are (day number, step), so that every row can be told apart."""
    day = np.broadcast_to(first + np.arange(worlds), (_STEPS + 1, worlds))
    step = np.broadcast_to(np.arange(_STEPS + 1)[:, None], (_STEPS + 1, worlds))
    return ArrayFragment(
        observations=np.stack([day, step], axis=-1).astype(np.float32),
        actions=(day[:-1, :, None] * 10 + step[:-1, :, None]).astype(np.float32),
        rewards=(day[:-1] + step[:-1]).astype(np.float32),
        costs=-(day[:-1] + step[:-1]).astype(np.float32),
        terminated=np.full(worlds, terminated),
    )


@pytest.mark.parametrize("terminated", [False, True])
def test_replay__transitions_are_consistent(terminated: bool) -> None:
    """Day d, step t: action 10 d + t, next observation min(2, 4 - t) steps later, rewards d + t discounted."""
    replay = _make_replay()
    replay.add(_make_fragment(2, terminated=terminated))
    replay.add(_make_fragment(2, first=2, terminated=terminated))
    batch = replay.sample(256, beta=1.0)
    day, step = batch.observations.T
    ahead = np.minimum(2, _STEPS - step)
    np.testing.assert_array_equal(batch.actions[:, 0], 10 * day + step)
    np.testing.assert_array_equal(batch.next_observations, np.stack([day, step + ahead], axis=1))
    np.testing.assert_allclose(batch.rewards, day + step + np.where(ahead == 2, 0.5 * (day + step + 1), 0.0))
    np.testing.assert_allclose(batch.costs, -batch.rewards)
    ends = terminated & (step + ahead == _STEPS)
    np.testing.assert_allclose(batch.discounts, np.where(ends, 0.0, 0.5**ahead))
    assert set(day) == {0.0, 1.0, 2.0, 3.0}


def test_replay__the_oldest_days_make_room() -> None:
    replay = _make_replay()
    for first in range(0, 15, 3):
        replay.add(_make_fragment(3, first=first))
    assert len(replay) == 8 * _STEPS
    assert set(replay.sample(2_000, 1.0).observations[:, 0]) == set(range(7, 15))


def test_replay__draws_in_proportion_to_td_error_power_alpha() -> None:
    """Origin: numpy's own weighted choice gives the same frequencies (chi-square, 1e-4 level)."""
    settings = replace(_SETTINGS, alpha=0.7, epsilon=0.01)
    replay = _make_replay(settings)
    replay.add(_make_fragment(8))
    errors = np.random.default_rng(5).exponential(size=32)
    replay.update_priorities(np.arange(32), -errors)
    probability = (errors + 0.01) ** 0.7
    probability /= probability.sum()
    drawn = np.concatenate([replay.sample(64, 1.0).indices for _ in range(500)])
    counts = np.bincount(drawn, minlength=32)
    assert chisquare(counts, probability * 32_000).pvalue > 1e-4
    independent = np.bincount(np.random.default_rng(6).choice(32, size=32_000, p=probability), minlength=32)
    assert np.abs(counts - independent).max() < 6.0 * np.sqrt(32_000 * probability.max())


def test_replay__importance_weights_undo_the_bias() -> None:
    """With beta = 1 the weighted mean over draws estimates the plain mean over the buffer."""
    replay = _make_replay()
    replay.add(_make_fragment(8))
    replay.update_priorities(np.arange(32), np.arange(32) / 4.0)
    batch = replay.sample(200_000, beta=1.0)
    assert batch.weights.max() == 1.0
    weighted = np.average(batch.observations[:, 0], weights=batch.weights)
    assert weighted == pytest.approx(3.5, abs=0.05)
    assert replay.sample(64, beta=0.0).weights.min() == 1.0


def test_replay__state_survives_npz_without_pickle_and_continues_the_same_draws() -> None:
    replay = _make_replay()
    for first in range(0, 15, 3):
        replay.add(_make_fragment(3, first=first))
    replay.update_priorities(np.arange(10), np.arange(10.0))
    file = io.BytesIO()
    np.savez(file, **replay.get_state())
    file.seek(0)
    restored = _make_replay(seed=99)
    with np.load(file, allow_pickle=False) as state:
        restored.set_state(state)
    for one in (replay, restored):
        one.add(_make_fragment(2, first=50))
    first, second = replay.sample(64, 0.5), restored.sample(64, 0.5)
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.observations, second.observations)
    np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize("break_state", ["missing", "shape", "days"])
def test_replay__refuses_a_state_that_does_not_fit(break_state: str) -> None:
    replay = _make_replay()
    replay.add(_make_fragment(8))
    state = replay.get_state()
    if break_state == "missing":
        del state["actions"]
    elif break_state == "shape":
        state["observations"] = state["observations"][..., :1]
    smaller = replace(_SETTINGS, capacity=2 * _STEPS) if break_state == "days" else _SETTINGS
    with pytest.raises(CheckpointError):
        _make_replay(smaller).set_state(state)


def test_replay__refuses_fragments_that_are_no_whole_day() -> None:
    day = _make_fragment()
    half = ArrayFragment(day.observations[:3], day.actions[:2], day.rewards[:2], day.costs[:2], day.terminated)
    with pytest.raises(DataError, match="one day per fragment"):
        _make_replay().add(half)
    with pytest.raises(DataError, match="observations"):
        replace(day, observations=day.observations[:-1])
    with pytest.raises(DataError, match="raise it"):
        _make_replay().add(_make_fragment(9))
    with pytest.raises(ConfigError, match="capacity"):
        _make_replay(replace(_SETTINGS, capacity=3))


def test_replay__diverged_td_errors_are_refused() -> None:
    replay = _make_replay()
    replay.add(_make_fragment())
    with pytest.raises(DataError, match="TD errors"):
        replay.update_priorities(np.array([0]), np.array([np.nan]))

"""The Gymnasium faces of the market."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from envs.market.env import MultiChannelEnv, MultiChannelVectorEnv
from gaelp_rl.errors import ActionError, CheckpointError, ConfigError
from gaelp_rl.features.actions import ACTION_SIZE

DAY = 24


def _random_actions(rng: np.random.Generator, worlds: int) -> np.ndarray:
    return rng.uniform(-1.0, 1.0, (worlds, ACTION_SIZE)).astype(np.float32)


def test_scalar_env__passes_gymnasiums_own_checker() -> None:
    env = gym.make("envs:gaelp/MultiChannel-v1").unwrapped
    check_env(env, skip_render_check=True)


def test_registered_id__makes_the_native_vector_env() -> None:
    envs = gym.make_vec("envs:gaelp/MultiChannel-v1", num_envs=3, vectorization_mode="vector_entry_point")
    assert isinstance(envs.unwrapped, MultiChannelVectorEnv)
    assert envs.num_envs == 3


def test_vector_env__gives_the_scalar_envs_trajectories_step_by_step() -> None:
    """Training in batches and judging one world at a time must be the same market."""
    worlds, seed, rng = 3, 11, np.random.default_rng(0)
    batch = MultiChannelVectorEnv(worlds)
    singles = [MultiChannelEnv() for _ in range(worlds)]
    observation, _ = batch.reset(seed=seed)
    alone = np.stack([env.reset(seed=seed + i)[0] for i, env in enumerate(singles)])
    for step in range(2 * (DAY + 1) + 5):
        np.testing.assert_array_equal(observation, alone)
        actions = _random_actions(rng, worlds)
        observation, reward, terminated, truncated, _ = batch.step(actions)
        if (step + 1) % (DAY + 1) == 0:
            alone = np.stack([env.reset()[0] for env in singles])
            continue
        results = [env.step(action) for env, action in zip(singles, actions, strict=True)]
        alone = np.stack([result[0] for result in results])
        np.testing.assert_array_equal(reward, np.array([result[1] for result in results], dtype=np.float32))
        assert [bool(t) for t in terminated] == [result[2] for result in results]
        assert [bool(t) for t in truncated] == [result[3] for result in results]


def test_same_seed__same_episode_and_other_seed_another() -> None:
    env = MultiChannelEnv()
    actions = _random_actions(np.random.default_rng(1), DAY)

    def play(seed: int) -> np.ndarray:
        env.reset(seed=seed)
        return np.stack([env.step(action)[0] for action in actions])

    first, again, other = play(3), play(3), play(4)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_days__truncate_at_midnight_and_the_world_goes_on() -> None:
    env = MultiChannelVectorEnv(2, autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    zero = np.zeros((2, ACTION_SIZE), dtype=np.float32)
    for hour in range(1, 28 * DAY + 1):
        observation, _, terminated, truncated, infos = env.step(zero)
        is_midnight, is_end = hour % DAY == 0, hour == 28 * DAY
        assert truncated.all() == (is_midnight and not is_end)
        assert terminated.all() == is_end
        if is_midnight and not is_end:
            np.testing.assert_array_equal(infos["final_obs"], observation)
    assert not np.array_equal(infos["final_obs"], observation)


def test_action_zero__earns_exactly_what_its_twin_earns() -> None:
    """The baseline is action zero in the same world under the same noise: the difference is 0."""
    env = MultiChannelVectorEnv(4)
    env.reset(seed=2)
    rewards = [env.step(np.zeros((4, ACTION_SIZE), dtype=np.float32))[1] for _ in range(DAY)]
    np.testing.assert_array_equal(np.stack(rewards), 0.0)


def test_families__share_the_worlds_and_keep_their_own() -> None:
    mixed = MultiChannelVectorEnv(4, ("campaign", "wide"))
    alone = MultiChannelVectorEnv(2, ("campaign",))
    zero = np.zeros((4, ACTION_SIZE), dtype=np.float32)
    first, _ = mixed.reset(seed=8)
    np.testing.assert_array_equal(first[:2], alone.reset(seed=8)[0])
    for _ in range(30):
        first = mixed.step(zero)[0]
        second = alone.step(zero[:2])[0]
    np.testing.assert_array_equal(first[:2], second)


@pytest.mark.parametrize(
    "action",
    [np.full((2, ACTION_SIZE), np.nan), np.full((2, ACTION_SIZE), 1.5), np.zeros((2, ACTION_SIZE - 1))],
    ids=["not finite", "outside the box", "another shape"],
)
def test_bad_action__is_refused_and_the_market_does_not_move(action: np.ndarray) -> None:
    env = MultiChannelVectorEnv(2)
    env.reset(seed=0)
    with pytest.raises(ActionError):
        env.step(action.astype(np.float32))
    twin = MultiChannelVectorEnv(2)
    twin.reset(seed=0)
    zero = np.zeros((2, ACTION_SIZE), dtype=np.float32)
    np.testing.assert_array_equal(env.step(zero)[0], twin.step(zero)[0])


def test_too_few_worlds_for_the_families__is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="1 worlds cannot cover 2 families"):
        MultiChannelVectorEnv(1, ("campaign", "wide"))


def test_fidelity__is_the_familys_unless_given() -> None:
    """The same seed and action, hour by hour another market."""
    spends = []
    for fidelity in (None, "aggregate", "auction"):
        env = MultiChannelEnv(fidelity=fidelity)
        env.reset(seed=1)
        spends.append([env.step(np.zeros(8, dtype=np.float32))[4]["spend"] for _ in range(4)])
    assert spends[0] == spends[1]
    assert spends[1] != spends[2]


def _walk(env: MultiChannelVectorEnv, hours: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [env.step(rng.uniform(-1, 1, (env.num_envs, 8)).astype(np.float32))[0] for _ in range(hours)]


def test_state__goes_on_where_it_was_in_another_environment() -> None:
    """Worlds are a function of keys and actions: lived again, they are the same, critics' view included."""
    mode, families = AutoresetMode.SAME_STEP, ("campaign", "wide")
    one, two = (
        MultiChannelVectorEnv(5, families, privileged=True, autoreset_mode=mode, resumable=True) for _ in range(2)
    )
    one.reset(seed=3)
    _walk(one, 60, 0)
    restored = two.set_state(one.get_state())
    np.testing.assert_array_equal(restored, one._observe())
    for ours, theirs in zip(_walk(one, 30, 1), _walk(two, 30, 1), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert one.get_state()["observation"] == two.get_state()["observation"]


def test_state__of_other_worlds_is_refused() -> None:
    env = MultiChannelVectorEnv(2, resumable=True)
    env.reset(seed=0)
    _walk(env, 5, 0)
    state = env.get_state()
    with pytest.raises(CheckpointError, match="came out otherwise"):
        env.set_state(state | {"actions": -state["actions"]})
    with pytest.raises(CheckpointError, match="this environment has 3"):
        MultiChannelVectorEnv(3, resumable=True).set_state(state)
    with pytest.raises(CheckpointError, match="cannot be read"):
        env.set_state({})
    with pytest.raises(ConfigError, match="resumable=True"):
        MultiChannelVectorEnv(2).get_state()

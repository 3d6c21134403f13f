"""Users side by side: the batched sessions, step by step, and RecSim's in distribution."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.journey.batched_sessions import JourneySettings, simulate_sessions
from envs.journey.env import JourneyEnv
from envs.journey.stock_parameters import SessionSizes
from envs.journey.vector_env import JourneyVectorEnv
from gaelp_rl.errors import ActionError, ConfigError

MODELS = ("ads", "interest_evolution")


def choose_greedily(model: str, observation: dict[str, np.ndarray]) -> np.ndarray:
    """From what is observed: by quality in ads, by the interest in its topic in interest evolution."""
    documents = observation["documents"]
    likings = documents[:, :, -2] if model == "ads" else np.einsum("ekt,et->ek", documents, observation["user"])
    return np.argsort(-likings, axis=1, kind="stable")[:, :2]


def play_sessions(env: JourneyVectorEnv, model: str, seed: int | list[int], sessions: int) -> list[list[tuple]]:
    """Length, reward and clicks of the first sessions of each environment, next-step autoreset."""
    observation, _ = env.reset(seed=seed)
    finished: list[list[tuple]] = [[] for _ in range(env.num_envs)]
    reward_sum, clicks = np.zeros(env.num_envs), np.zeros(env.num_envs, dtype=int)
    while min(map(len, finished)) < sessions:
        observation, reward, terminated, truncated, infos = env.step(choose_greedily(model, observation))
        reward_sum += reward
        clicks += infos["clicked"] >= 0
        for i in np.flatnonzero(terminated | truncated):
            finished[i].append((int(infos["length"][i]), float(reward_sum[i]), int(clicks[i])))
            reward_sum[i] = clicks[i] = 0
    return [of[:sessions] for of in finished]


@pytest.mark.parametrize(("model", "policy"), [("ads", "greedy_quality"), ("interest_evolution", "greedy_pctr")])
def test_sessions__are_those_of_the_batched_kernels(model: str, policy: str) -> None:
    """User j of environment i is user j of a batched run with the environment's seed."""
    played = play_sessions(JourneyVectorEnv(3, model, "mnl"), model, 11, 4)
    for env, sessions in enumerate(played):
        expected = simulate_sessions(model, "mnl", policy, 4, 11 + env)
        assert [of[0] for of in sessions] == expected.column("length").tolist()
        assert [of[1] for of in sessions] == pytest.approx(expected.column("reward").tolist(), rel=1e-5)
        assert [of[2] for of in sessions] == expected.column("clicks").tolist()


@pytest.mark.parametrize("model", MODELS)
def test_spaces__are_batches_of_the_scalar_environment_s(model: str) -> None:
    env, scalar = JourneyVectorEnv(2, model, num_candidates=5, slate_size=3), JourneyEnv(model, None, 5, 3)
    assert env.single_observation_space == scalar.observation_space
    assert env.single_action_space == scalar.action_space
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(300):
        assert env.observation_space.contains(observation)
        observation, *_ = env.step(env.action_space.sample())


@pytest.mark.parametrize("model", MODELS)
def test_observations__have_the_fields_of_the_scalar_environment(model: str) -> None:
    """One topic each; a response only to what was clicked; nothing that changes later."""
    env = JourneyVectorEnv(4, model)
    observation, infos = env.reset(seed=3)
    assert (infos["clicked"] == -1).all()
    topics = 8 if model == "ads" else 20
    first = {name: part.copy() for name, part in observation.items()}
    for _ in range(60):
        following, reward, terminated, truncated, infos = env.step(np.tile([0, 1], (4, 1)))
        assert (following["documents"][:, :, :topics].sum(axis=2) == 1.0).all()
        clicked = infos["clicked"] >= 0
        np.testing.assert_array_equal(following["response"][:, :, 0].sum(axis=1), clicked)
        np.testing.assert_array_equal(reward > 0.0, clicked)
        assert not (terminated & truncated).any()
    for name, part in first.items():
        np.testing.assert_array_equal(part, observation[name])


@pytest.mark.parametrize("model", MODELS)
def test_seed__repeats_and_a_list_seeds_each(model: str) -> None:
    env = JourneyVectorEnv(2, model)
    first = play_sessions(env, model, 5, 2)
    assert first == play_sessions(env, model, 5, 2)
    assert first == play_sessions(JourneyVectorEnv(2, model), model, [5, 6], 2)
    assert first[::-1] == play_sessions(env, model, [6, 5], 2)
    assert first != play_sessions(env, model, 7, 2)


def test_environment__does_not_depend_on_its_neighbours() -> None:
    alone = play_sessions(JourneyVectorEnv(1, "ads"), "ads", 6, 3)
    beside = play_sessions(JourneyVectorEnv(4, "ads"), "ads", 5, 3)
    assert alone[0] == beside[1]


@pytest.mark.parametrize("model", MODELS)
def test_same_step__returns_the_next_user_at_once(model: str) -> None:
    later, same = (JourneyVectorEnv(3, model, autoreset_mode=mode) for mode in list(AutoresetMode)[:2])
    assert (later.metadata["autoreset_mode"], same.metadata["autoreset_mode"]) == (
        AutoresetMode.NEXT_STEP,
        AutoresetMode.SAME_STEP,
    )
    slates = np.tile([0, 1], (3, 1))
    later.reset(seed=1)
    same.reset(seed=1)
    while True:
        expected, _, terminated, _, _ = later.step(slates)
        observation, _, also, _, infos = same.step(slates)
        np.testing.assert_array_equal(terminated, also)
        if terminated.any():
            break
        np.testing.assert_array_equal(expected["user"], observation["user"])
    env = int(np.flatnonzero(terminated)[0])
    assert infos["_final_obs"].tolist() == terminated.tolist()
    for name, part in expected.items():
        np.testing.assert_array_equal(infos["final_obs"][env][name], part[env])
    following, reward, terminated, _, infos = later.step(slates)
    assert (reward[env], bool(terminated[env]), infos["length"][env]) == (0.0, False, 0)
    np.testing.assert_array_equal(following["user"][env], observation["user"][env])
    np.testing.assert_array_equal(following["documents"][env], observation["documents"][env])


def test_disabled_autoreset__wants_a_reset_of_what_has_ended() -> None:
    env = JourneyVectorEnv(3, "ads", autoreset_mode=AutoresetMode.DISABLED)
    slates = np.tile([0, 1], (3, 1))
    with pytest.raises(ActionError, match="Call reset"):
        env.step(slates)
    env.reset(seed=1)
    ended = np.zeros(3, dtype=np.bool_)
    while not ended.any():
        _, _, ended, _, infos = env.step(slates)
    with pytest.raises(ActionError, match="sessions are over"):
        env.step(slates)
    _, after = env.reset(options={"reset_mask": ended})
    np.testing.assert_array_equal(after["length"], np.where(ended, 0, infos["length"]))
    env.step(slates)


@pytest.mark.integration
@pytest.mark.parametrize("model", MODELS)
def test_vector__agrees_with_the_scalar_environment_in_distribution(model: str) -> None:
    """First steps of a session under fixed slates: interests, clicks and rewards; z within 4 of both errors."""
    clicks, rewards, users = [], [], []
    scalar = JourneyEnv(model)
    for seed in range(150):
        observation, _ = scalar.reset(seed=seed)
        users.append(observation["user"].mean())
        for _ in range(8):
            observation, reward, _, _, info = scalar.step([3, 7])
            clicks.append(info["clicked"] >= 0)
            rewards.append(reward)
    env = JourneyVectorEnv(2_000, model)
    observation, _ = env.reset(seed=0)
    ours: dict[str, list[np.ndarray]] = {"users": [observation["user"].mean(axis=1)], "clicks": [], "rewards": []}
    for _ in range(8):
        observation, reward, _, _, infos = env.step(np.tile([3, 7], (2_000, 1)))
        ours["clicks"].append(infos["clicked"] >= 0)
        ours["rewards"].append(reward)
    for name, theirs in (("users", users), ("clicks", clicks), ("rewards", rewards)):
        own, other = np.concatenate(ours[name]).astype(float), np.array(theirs, dtype=float)
        error = np.hypot(own.std() / np.sqrt(own.size), other.std() / np.sqrt(other.size))
        assert abs(own.mean() - other.mean()) <= 4.0 * error, name


@pytest.mark.parametrize(
    "slates",
    [np.zeros((2, 3), dtype=int), np.full((2, 2), 10), np.full((2, 2), -1), np.zeros((2, 2)), np.zeros(2, dtype=int)],
)
def test_step__refuses_what_is_no_slate(slates: np.ndarray) -> None:
    env = JourneyVectorEnv(2)
    env.reset(seed=0)
    with pytest.raises(ActionError, match="2 x 2 integers from 0 to 9"):
        env.step(slates)


def test_environment__refuses_what_it_cannot_be() -> None:
    with pytest.raises(ConfigError, match="has no vector environment"):
        JourneyVectorEnv(2, "interest_exploration")
    with pytest.raises(ConfigError, match="Did you mean 'ads'"):
        JourneyVectorEnv(2, "adds")
    with pytest.raises(ConfigError, match="ask for at least 1"):
        JourneyVectorEnv(0)
    with pytest.raises(ConfigError, match="1 seeds for 2 environments"):
        JourneyVectorEnv(2).reset(seed=[1])
    with pytest.raises(ConfigError, match="reset_mask has shape"):
        JourneyVectorEnv(2).reset(options={"reset_mask": np.ones(3, dtype=np.bool_)})


def test_duplicates__show_a_creative_twice() -> None:
    """Both copies count as exposures, as in the scalar environment."""
    env = JourneyVectorEnv(1, "ads", num_candidates=20)
    observation, _ = env.reset(seed=2)
    observation, *_ = env.step(np.array([[4, 4]]))
    assert observation["documents"][0, :, -1].max() == 2.0
    assert observation["documents"][0, :, -1].sum() == 2.0
    assert JourneySettings(sizes=SessionSizes(20, 2)).sizes == SessionSizes(20, 2)

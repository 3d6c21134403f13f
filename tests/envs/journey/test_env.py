"""The scalar Gymnasium face of journeys."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.random.mtrand import get_state

from envs.journey.ads_config import AdsJourneyConfig
from envs.journey.env import JourneyEnv
from envs.journey.stock_parameters import CHOICES, MODELS
from gaelp_rl.errors import ActionError, ConfigError


def play(env: JourneyEnv, seed: int | None, steps: int) -> list[np.ndarray]:
    """Fixed slates; observations and rewards, through as many sessions as it takes."""
    observation, _ = env.reset(seed=seed)
    slates, seen = np.random.default_rng(0), list(observation.values())
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(slates.integers(10, size=2))
        seen += [*observation.values(), np.array(reward)]
        if terminated or truncated:
            seen += list(env.reset()[0].values())
    return seen


def are_equal(first: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(first) == len(other) and all(map(np.array_equal, first, other))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("choice", CHOICES)
def test_env__passes_gymnasiums_own_checker_without_a_warning(model: str, choice: str, recwarn) -> None:
    check_env(JourneyEnv(model, choice), skip_render_check=True)
    assert not [str(warning.message) for warning in recwarn]


@pytest.mark.parametrize("model", MODELS)
def test_same_seed__same_episodes_and_other_seed_others(model: str) -> None:
    env = JourneyEnv(model)
    first = play(env, 3, 120)
    assert are_equal(first, play(env, 3, 120))
    assert are_equal(first, play(JourneyEnv(model), 3, 120))
    assert not are_equal(first, play(env, 4, 120))


@pytest.mark.parametrize("model", MODELS)
def test_env__leaves_numpys_global_stream_alone(model: str) -> None:
    before = get_state(legacy=False)
    play(JourneyEnv(model), 0, 60)
    after = get_state(legacy=False)
    np.testing.assert_array_equal(after["state"]["key"], before["state"]["key"])
    assert after["state"]["pos"] == before["state"]["pos"]
    assert after["has_gauss"] == before["has_gauss"]


def test_two_envs__do_not_disturb_each_other() -> None:
    """Both draw through one global function; each must keep its own stream."""
    alone = play(JourneyEnv("interest_evolution"), 1, 40)
    env, other = JourneyEnv("interest_evolution"), JourneyEnv("ads")
    slates = np.random.default_rng(0)
    seen = list(env.reset(seed=1)[0].values())
    other.reset(seed=2)
    for _ in range(40):
        observation, reward, _, _, _ = env.step(slates.integers(10, size=2))
        seen += [*observation.values(), np.array(reward)]
        if other.step([0, 1])[2]:
            other.reset()
    assert are_equal(alone, seen)


@pytest.mark.parametrize("model", MODELS)
def test_steps__stay_in_their_spaces_and_are_plain_data(model: str) -> None:
    """Earlier observations must not change under later steps, as RecSim's own do."""
    env = JourneyEnv(model)
    observation, info = env.reset(seed=0)
    assert json.loads(json.dumps(info)) == {"clicked": -1, "length": 0}
    assert not observation["response"].any()
    kept = {name: array.copy() for name, array in observation.items()}
    first = observation
    for _ in range(200):
        observation, reward, terminated, truncated, info = env.step(np.array([3, 5]))
        assert env.observation_space.contains(observation)
        assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
        assert json.loads(json.dumps(info)) == info
        clicks = observation["response"][:, 0]
        assert clicks.sum() == (info["clicked"] >= 0)
        assert info["clicked"] == (int(clicks.argmax()) if clicks.any() else -1)
        if terminated or truncated:
            env.reset()
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])


def test_documents__are_what_the_users_are_asked_about() -> None:
    """The arrays against RecSim's own documents and responses, field by field."""
    for model in ("ads", "interest_evolution"):
        env = JourneyEnv(model)
        observation, _ = env.reset(seed=6)
        for _ in range(5):
            documents = env._journey.documents
            topics = observation["documents"][:, : observation["user"].size].argmax(axis=1)
            expected = [ad.topic if model == "ads" else ad.cluster_id for ad in documents]
            np.testing.assert_array_equal(topics, expected)
            if model == "ads":
                exposures = [env._journey.user.exposures[ad.doc_id()] for ad in documents]
                np.testing.assert_array_equal(observation["documents"][:, -1], exposures)
                np.testing.assert_allclose(observation["documents"][:, -2], [ad.quality for ad in documents], rtol=1e-6)
            np.testing.assert_allclose(observation["user"], env._journey.environment.user_model.create_observation())
            observation = env.step([0, 1])[0]


def test_interest_exploration__is_truncated_after_its_cap_and_never_terminates() -> None:
    env = JourneyEnv("interest_exploration")
    env.reset(seed=0)
    ends = [env.step([0, 1])[2:4] for _ in range(50)]
    assert ends == [(False, False)] * 49 + [(False, True)]


def test_ads__end_by_termination_when_the_time_is_used_up() -> None:
    """Without clicks a session has exactly its budget of page views."""
    env = JourneyEnv("ads", ads=AdsJourneyConfig(mean_ctr=1e-9))
    env.reset(seed=0)
    ends = [env.step([0, 1])[2:4] for _ in range(40)]
    assert ends == [(False, False)] * 39 + [(True, False)]


def test_a_repeated_position__shows_its_document_twice() -> None:
    env = JourneyEnv("ads")
    env.reset(seed=0)
    shown = env._journey.documents[4].doc_id()
    env.step([4, 4])
    assert env._journey.user.exposures[shown] == 2
    assert env._journey.user.exposures.sum() == 2


def test_a_wrong_action_or_an_ended_session__is_refused() -> None:
    env = JourneyEnv("ads")
    with pytest.raises(ActionError, match="Call reset"):
        env.step([0, 1])
    env.reset(seed=0)
    for action in ([0, 10], [0, -1], [0], [0, 1, 2], [0.5, 1.0]):
        with pytest.raises(ActionError, match="integers from 0 to 9"):
            env.step(action)
    env = JourneyEnv("interest_exploration")
    env.reset(seed=0)
    for _ in range(50):
        env.step([0, 1])
    with pytest.raises(ActionError, match="Call reset"):
        env.step([0, 1])


def test_names_and_sizes__are_checked_when_an_env_is_made() -> None:
    with pytest.raises(ConfigError, match="model 'add' does not exist"):
        JourneyEnv("add")
    with pytest.raises(ConfigError, match="choice 'logit' does not exist"):
        JourneyEnv("ads", "logit")
    with pytest.raises(ConfigError, match="slate of 11 from 10"):
        JourneyEnv("interest_evolution", slate_size=11)
    with pytest.raises(ConfigError, match="rising order"):
        JourneyEnv("ads", num_candidates=21)

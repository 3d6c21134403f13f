"""``gaelp/Auction-v1``: Gymnasium's contract, one world and many, and what an advertiser may know."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.auction.config import AuctionConfig
from envs.auction.env import AuctionEnv, AuctionVectorEnv, make_default_auction_config
from gaelp_rl.errors import ActionError, ConfigError

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "data" / "auctiongym" / "configs").glob("*.json"))


def play(env: AuctionEnv, multipliers: list[float], seed: int | None) -> list[tuple[np.ndarray, float, bool]]:
    observation, _ = env.reset(seed=seed)
    steps = [(observation, 0.0, False)]
    for multiplier in multipliers:
        observation, reward, terminated, truncated, _ = env.step(np.array([multiplier], dtype=np.float32))
        assert not terminated
        steps.append((observation, reward, truncated))
    return steps


def make_second_price_config(**changes: object) -> AuctionConfig:
    return make_default_auction_config().model_copy(update={"allocation": "SecondPrice", **changes})


@pytest.mark.parametrize("rounds_per_step", [1, 5])
def test_auction_env__passes_check_env(rounds_per_step: int) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*symmetric and normalized space.*")
        warnings.filterwarnings("error", category=UserWarning, message="(?!.*symmetric and normalized)")
        check_env(AuctionEnv(rounds_per_step=rounds_per_step, episode_rounds=20), skip_render_check=True)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_auction_env__runs_every_config(path: Path) -> None:
    env = AuctionEnv(str(path), episode_rounds=10)
    for observation, reward, _ in play(env, [0.8] * 10, seed=1):
        assert env.observation_space.contains(observation)
        assert np.isfinite(reward)


def test_auction_env__same_seed_same_episode() -> None:
    first, again, other = (play(AuctionEnv(episode_rounds=30), [0.7] * 30, seed) for seed in (4, 4, 5))
    assert all(np.array_equal(a[0], b[0]) and a[1:] == b[1:] for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0], other[0][0])


def test_auction_env__goes_on_with_a_new_catalogue() -> None:
    env = AuctionEnv(episode_rounds=5)
    first, second = play(env, [1.0] * 5, seed=0), play(env, [1.0] * 5, seed=None)
    assert not np.array_equal(first[0][0], second[0][0])
    again = AuctionEnv(episode_rounds=5)
    play(again, [0.2] * 5, seed=0)
    assert np.array_equal(play(again, [1.0] * 5, seed=None)[0][0], second[0][0])


def test_auction_env__keeps_a_catalogue_that_is_given() -> None:
    """Item values belong to the catalogue: two episodes of one catalogue show values of the same 12 items."""
    env = AuctionEnv(episode_rounds=100, catalogue_seed=9)
    shown = [{float(step[0][5]) for step in play(env, [1.0] * 100, seed)} for seed in (0, 1)]
    assert len(shown[0] | shown[1]) <= 12


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_auction_vector_env__is_many_auction_envs(mode: AutoresetMode) -> None:
    """Two episodes and a bit: the same observations, rewards and ends, world by world."""
    worlds, length = 3, 6
    vector = AuctionVectorEnv(worlds, episode_rounds=length, autoreset_mode=mode)
    scalars = [AuctionEnv(episode_rounds=length) for _ in range(worlds)]
    observation, _ = vector.reset(seed=20)
    expected = [env.reset(seed=20 + i)[0] for i, env in enumerate(scalars)]
    rng = np.random.default_rng(0)
    ended = False
    for _ in range(2 * length + 3):
        assert np.array_equal(observation, np.stack(expected))
        actions = rng.uniform(0, 2, (worlds, 1)).astype(np.float32)
        observation, reward, terminated, truncated, infos = vector.step(actions)
        assert not terminated.any()
        if ended and mode == AutoresetMode.NEXT_STEP:
            expected, ended = [env.reset()[0] for env in scalars], False
            assert not reward.any()
            assert not truncated.any()
            continue
        steps = [env.step(action) for env, action in zip(scalars, actions, strict=True)]
        expected = [step[0] for step in steps]
        assert reward.tolist() == [step[1] for step in steps]
        ended = steps[0][3]
        assert (truncated == ended).all()
        assert infos["spend"].tolist() == [step[4]["spend"] for step in steps]
        if ended and mode == AutoresetMode.SAME_STEP:
            assert np.array_equal(infos["final_obs"], np.stack(expected))
            expected, ended = [env.reset()[0] for env in scalars], False


def test_auction_env__truncates_after_its_rounds_and_never_terminates() -> None:
    steps = play(AuctionEnv(episode_rounds=6, rounds_per_step=2), [1.0] * 3, seed=0)
    assert [step[2] for step in steps] == [False, False, False, True]
    assert [float(step[0][-1]) for step in steps] == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_auction_env__settles_by_hand() -> None:
    """First price: a win costs multiplier x estimated CTR x item value; a click pays the item value."""
    env = AuctionEnv(episode_rounds=200)
    before, _ = env.reset(seed=3)
    wins, clicks = 0, 0
    for _ in range(200):
        observation, reward, _, _, info = env.step(np.array([0.6], dtype=np.float32))
        price = info["wins"] * np.float64(np.float32(0.6)) * before[4] * before[5]
        assert info["spend"] == pytest.approx(price, rel=1e-6)
        assert reward == pytest.approx(info["clicks"] * before[5] - price, rel=1e-5, abs=1e-6)
        assert info["clicks"] <= info["wins"] <= 1
        assert observation[6:9] == pytest.approx([info["wins"], info["spend"], info["clicks"]], rel=1e-6)
        wins, clicks, before = wins + info["wins"], clicks + info["clicks"], observation
    assert observation[9] == pytest.approx(wins / 200)
    assert 0 < clicks < wins < 200


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 1.9), st.floats(0.01, 0.1))
def test_auction_env__a_higher_bid_loses_nothing(seed: int, multiplier: float, more: float) -> None:
    """Same users, rivals and clicks: a higher second-price bid wins the same auctions and more, at the same prices."""
    config = make_second_price_config()
    low, high = AuctionEnv(config, episode_rounds=40), AuctionEnv(config, episode_rounds=40)
    low.reset(seed=seed)
    high.reset(seed=seed)
    for _ in range(40):
        one = low.step(np.array([multiplier], dtype=np.float32))[4]
        other = high.step(np.array([multiplier + more], dtype=np.float32))[4]
        assert other["wins"] >= one["wins"]
        if one["wins"]:
            assert other["spend"] == one["spend"]


def test_auction_env__tells_nothing_that_is_hidden() -> None:
    """Other rivals' bids, other true odds, other noise: the same observation until an outcome tells."""
    config = make_second_price_config(max_slots=2, num_participants_per_round=3)
    known, twin = AuctionVectorEnv(4, config, episode_rounds=8), AuctionVectorEnv(4, config, episode_rounds=8)
    first, _ = known.reset(seed=0)
    twin.reset(seed=0)
    episode = twin._episode
    outbid = np.where(episode.bids > 0, episode.bids + 5.0, 0.0)
    twin._episode = episode._replace(bids=outbid, true_ctr=1.0 - episode.true_ctr, click_noise=episode.click_noise / 2)
    assert np.array_equal(twin._observe(), first)
    for multiplier in (0.0, 0.0, 0.0):  # loses in either world
        actions = np.full((4, 1), multiplier, dtype=np.float32)
        assert np.array_equal(known.step(actions)[0], twin.step(actions)[0])


def test_auction_env__shows_no_hidden_context() -> None:
    """The observation holds o = 2 of 5 dimensions, and the learned allocator's estimate is made from those."""
    allocator = {"type": "PyTorchLogisticRegressionAllocator", "kwargs": {"embedding_size": 2, "num_items": 12}}
    settings_ = make_default_auction_config().model_dump(mode="json")
    settings_["agents"][0]["allocator"] = allocator
    config = AuctionConfig.model_validate_json(json.dumps(settings_ | {"obs_embedding_size": 2}))
    env = AuctionEnv(config, episode_rounds=50)
    assert env.observation_space.shape == (2 + 9,)
    assert env.reset(seed=0)[0].shape == (11,)


def test_auction_env__shading_pays_in_first_price() -> None:
    """Bidding the expected worth earns nothing; bidding six tenths of it earns, in all of 64 worlds together."""
    earned = {}
    for multiplier in (0.2, 0.6, 1.0):
        env = AuctionVectorEnv(64, episode_rounds=200, rounds_per_step=200, autoreset_mode=AutoresetMode.DISABLED)
        env.reset(seed=0)
        earned[multiplier] = float(env.step(np.full((64, 1), multiplier, dtype=np.float32))[1].mean())
    assert abs(earned[1.0]) < 2.5
    assert earned[0.6] > 5.0 > abs(earned[1.0])
    assert earned[0.6] > earned[0.2]


@pytest.mark.parametrize("slots", [1, 3])
def test_auction_env__compat_sells_no_slot_without_a_next_bid(slots: int) -> None:
    """Three bidders, three slots: a bid of 0 gets the last slot for nothing, but not AuctionGym's way."""
    config = make_second_price_config(max_slots=slots, num_participants_per_round=3)
    wins = {}
    for compat in (False, True):
        env = AuctionVectorEnv(8, config, episode_rounds=60, rounds_per_step=60, compat=compat)
        env.reset(seed=0)
        wins[compat] = env.step(np.zeros((8, 1), dtype=np.float32))[4]["wins"].sum()
    assert wins[True] == 0
    assert (wins[False] > 0) == (slots == 3)


@pytest.mark.parametrize("action", [[[-0.1]], [[2.1]], [[np.nan]], [1.0]])
def test_auction_vector_env__refuses_actions(action: list[object]) -> None:
    env = AuctionVectorEnv(1)
    env.reset(seed=0)
    with pytest.raises(ActionError, match="multiplier"):
        env.step(np.array(action, dtype=np.float32))


def test_auction_env__asks_for_a_reset() -> None:
    env = AuctionEnv(episode_rounds=1)
    with pytest.raises(ActionError, match="reset"):
        env.step(np.array([1.0], dtype=np.float32))
    play(env, [1.0], seed=0)
    with pytest.raises(ActionError, match="reset"):
        env.step(np.array([1.0], dtype=np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"rounds_per_step": 3, "episode_rounds": 10}, "multiple"),
        ({"agent": "Nobody"}, "Nobody"),
    ],
)
def test_auction_vector_env__refuses_settings(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AuctionVectorEnv(**arguments)


def test_auction_vector_env__takes_a_list_of_seeds() -> None:
    env = AuctionVectorEnv(2)
    mixed, _ = env.reset(seed=[8, 3])
    assert np.array_equal(mixed[1], AuctionEnv().reset(seed=3)[0])
    with pytest.raises(ConfigError, match="3 seeds for 2 worlds"):
        env.reset(seed=[1, 2, 3])


def test_auction_env__is_a_gym_env() -> None:
    assert isinstance(AuctionEnv(), gym.Env)
    assert isinstance(AuctionVectorEnv(), gym.vector.VectorEnv)

"""``gaelp/Auction-v1``: one advertiser among AuctionGym's bidders, as Gymnasium environments.

A step is ``rounds_per_step`` auctions, one by default; all of them are auctions that the agent is asked to join,
and its multiplier holds for each. The advertiser offers the item that its allocator deems best and bids the
multiplier times that item's expected worth. What makes it a problem over time is that each catalogue, its own
and its rivals', is new with every episode: how far to shade must be found out from wins and prices.

Observation
    float32 [o + 9]; means over the step's auctions where there are several.

    =============  ========================================================================  =========
    index          what the advertiser is told                                               range
    =============  ========================================================================  =========
    0 .. o - 1     context of the coming user, the part that learned allocators see          +- 10 sd
    o              estimated click probability of the item that it will offer                0 .. 1
    o + 1          what a click on that item is worth, USD                                   0 .. 10
    o + 2          share of the last step's auctions that it won                             0 .. 1
    o + 3          mean price of those it won, USD per impression; 0 if none                 0 .. 20
    o + 4          share of the last step's auctions in which it won a click                 0 .. 1
    o + 5          share of auctions won this episode                                        0 .. 1
    o + 6          spend per auction this episode, USD                                       0 .. 20
    o + 7          worth of clicks per auction this episode, USD                             0 .. 10
    o + 8          share of the episode that is left                                         0 .. 1
    =============  ========================================================================  =========

    Other bids, true click probabilities and the hidden part of the context are never shown. (An advertiser whose
    allocator is an oracle estimates without error, as its config says it can.)
Action
    float32 [1] in [0, 2]: the bid multiplier; 1 bids the expected worth.
Reward
    Worth of clicks minus spend in the step, USD.
Starting state
    A catalogue drawn from the seed (AuctionGym's own for ``catalogue_seed``), no history. ``reset()`` without a seed
    goes on to the next episode of the same stream: a new catalogue unless ``catalogue_seed`` fixes it.
Termination vs truncation
    Never terminated: the market would go on. Truncated after ``episode_rounds`` auctions.
Version history
    v1: first version.

Source: AuctionGym (Apache-2.0); Jeunen, Murphy, Allison, "Off-Policy Learning-to-Bid with AuctionGym", KDD 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numba import njit
from numpy.typing import NDArray

from envs.auction.config import AuctionConfig, load_auctiongym_config, parse_auctiongym_config
from envs.auction.episodes import Episode, find_agent, sample_episode
from envs.auction.mechanism import clear_auction
from gaelp_rl.errors import ActionError, ConfigError

__all__ = ["ENV_ID", "MAX_MULTIPLIER", "AuctionEnv", "AuctionVectorEnv", "make_default_auction_config"]

ENV_ID = "gaelp/Auction-v1"
MAX_MULTIPLIER = 2.0

_CONTEXT_REACH_SD = 10.0
_ITEM_VALUE_LIMIT, _PRICE_LIMIT = 10.0, 20.0
_STREAM_TAG = 0x45505349

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]


class _Outcome(NamedTuple):
    """What the agent is told of auctions, each float64 [worlds, rounds of the step]."""

    won: FloatArray
    price: FloatArray
    click: FloatArray


def make_default_auction_config() -> AuctionConfig:
    """AuctionGym's usual shape: first price, six advertisers of 12 items, two of them in each auction."""
    agent = {
        "name": "Bidder",
        "num_copies": 6,
        "num_items": 12,
        "allocator": {"type": "OracleAllocator", "kwargs": {}},
        "bidder": {"type": "TruthfulBidder", "kwargs": {}},
    }
    settings = {
        "random_seed": 0,
        "num_iter": 1,
        "rounds_per_iter": 1000,
        "num_participants_per_round": 2,
        "embedding_size": 5,
        "embedding_var": 1.0,
        "obs_embedding_size": 4,
        "allocation": "FirstPrice",
        "agents": [agent],
        "output_dir": "results",
    }
    return parse_auctiongym_config(settings, "the default auction")


class AuctionVectorEnv(gym.vector.VectorEnv[Float32Array, Float32Array, NDArray[Any]]):
    """Natively batched episodes, all at the same auction; see the module's text for the contract.

    With ``AutoresetMode.NEXT_STEP`` the step after an episode's last ignores its action and returns the next
    episode's first observation; with ``SAME_STEP`` the last step returns it at once and ``infos["final_obs"]``
    holds the last one.

    Args:
        num_envs: worlds.
        config: an AuctionGym config or the path of one; None for `make_default_auction_config`.
        agent: name of the advertiser that acts; None for the first.
        rounds_per_step: auctions for which one action holds.
        episode_rounds: auctions in an episode, a multiple of ``rounds_per_step``.
        catalogue_seed: the catalogue of every episode; None draws one for each.
        compat: sell slots as AuctionGym does: none without a next bid.
        autoreset_mode: see above.

    Raises:
        ConfigError: a setting cannot be used.
    """

    def __init__(
        self,
        num_envs: int = 1,
        config: AuctionConfig | Path | str | None = None,
        agent: str | None = None,
        rounds_per_step: int = 1,
        episode_rounds: int = 200,
        catalogue_seed: int | None = None,
        compat: bool = False,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        _check_lengths(num_envs, rounds_per_step, episode_rounds)
        if isinstance(config, (str, Path)):
            config = load_auctiongym_config(Path(config))
        self._config = config or make_default_auction_config()
        self._agent = find_agent(self._config, agent)
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": autoreset_mode, "render_modes": []}
        self._box, self.single_action_space = _make_spaces(self._config)
        self.single_observation_space = self._box
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self._rounds_per_step, self._episode_rounds = rounds_per_step, episode_rounds
        self._catalogue_seed, self._compat, self._autoreset_mode = catalogue_seed, compat, autoreset_mode
        self._rngs: list[np.random.Generator] = []
        self._needs_reset = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begins new episodes.

        Args:
            seed: world i gets ``seed + i``, or its own entry of a list; None goes on with its stream.
            options: not used.

        Returns:
            Observations float32 [worlds, o + 9], and an empty dict.
        """
        del options
        if seed is not None or not self._rngs:
            self._rngs = [_make_rng(one) for one in _list_seeds(seed, self.num_envs)]
        episodes = [self._sample_episode(rng) for rng in self._rngs]
        self._episode = Episode(*(np.stack(arrays) for arrays in zip(*episodes, strict=True)))
        self._round = 0
        self._needs_reset = False
        self._totals = np.zeros((3, self.num_envs))
        self._last = _Outcome(*np.zeros((3, self.num_envs, self._rounds_per_step)))
        return self._observe(), {}

    def step(
        self, actions: Float32Array
    ) -> tuple[Float32Array, FloatArray, NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Holds the step's auctions; see the module's text for the five returned values.

        Raises:
            ActionError: an action is not finite, outside [0, 2] or of another shape, or no episode is on.
        """
        nothing = np.zeros(self.num_envs, dtype=np.bool_)
        if self._needs_reset and self._autoreset_mode == AutoresetMode.NEXT_STEP:
            observation, infos = self.reset()
            return observation, np.zeros(self.num_envs), nothing, nothing.copy(), infos
        if not self._rngs or self._needs_reset:
            raise ActionError("no episode is on: call reset() first")
        multiplier = _check_actions(actions, self.num_envs)
        reward = self._hold_auctions(multiplier)
        truncated = np.full(self.num_envs, self._round == self._episode_rounds)
        observation, infos = self._observe(), self._make_infos()
        if truncated[0]:
            self._needs_reset = True
            if self._autoreset_mode == AutoresetMode.SAME_STEP:
                infos["final_obs"] = observation
                observation, _ = self.reset()
        return observation, reward, nothing, truncated, infos

    def _sample_episode(self, rng: np.random.Generator) -> Episode:
        drawn = int(rng.integers(2**31))
        catalogue_seed = drawn if self._catalogue_seed is None else self._catalogue_seed
        return sample_episode(self._config, self._agent, catalogue_seed, self._episode_rounds, rng)

    def _hold_auctions(self, multiplier: FloatArray) -> FloatArray:
        """Clears the step's auctions and returns rewards float64 [worlds]."""
        episode, now = self._episode, slice(self._round, self._round + self._rounds_per_step)
        item_value = episode.item_value[:, now]
        bids = episode.bids[:, now].copy()
        own = multiplier[:, None] * item_value * episode.estimated_ctr[:, now]
        np.put_along_axis(bids, episode.place[:, now, None], own[..., None], axis=2)
        won, price = _clear(
            bids, episode.place[:, now], episode.num_slots[:, now], self._config.first_price, not self._compat
        )
        click = won * (episode.click_noise[:, now] < episode.true_ctr[:, now])
        self._last = _Outcome(won, price, click)
        spend, worth = price.sum(axis=1), (click * item_value).sum(axis=1)
        self._totals += np.stack((won.sum(axis=1), spend, worth))
        self._round += self._rounds_per_step
        return np.asarray(worth - spend)

    def _observe(self) -> Float32Array:
        coming = slice(self._round, self._round + self._rounds_per_step)
        if self._round == self._episode_rounds:
            coming = slice(self._round - self._rounds_per_step, self._round)
        episode, last = self._episode, self._last
        wins = last.won.sum(axis=1)
        columns = (
            episode.estimated_ctr[:, coming].mean(axis=1),
            episode.item_value[:, coming].mean(axis=1),
            last.won.mean(axis=1),
            last.price.sum(axis=1) / np.maximum(wins, 1.0),
            last.click.mean(axis=1),
            *(self._totals / max(self._round, 1)),
            np.full(self.num_envs, 1.0 - self._round / self._episode_rounds),
        )
        seen = np.hstack((episode.observed_context[:, coming].mean(axis=1), np.stack(columns, axis=1)))
        return np.clip(seen.astype(np.float32), self._box.low, self._box.high)

    def _make_infos(self) -> dict[str, Any]:
        last = self._last
        return {
            "wins": last.won.sum(axis=1),
            "clicks": last.click.sum(axis=1),
            "spend": last.price.sum(axis=1),
        }


class AuctionEnv(gym.Env[Float32Array, Float32Array]):
    """One world of `AuctionVectorEnv`: the same seed gives the same trajectory.

    Args:
        config: an AuctionGym config or the path of one; None for `make_default_auction_config`.
        agent: name of the advertiser that acts; None for the first.
        rounds_per_step: auctions for which one action holds.
        episode_rounds: auctions in an episode, a multiple of ``rounds_per_step``.
        catalogue_seed: the catalogue of every episode; None draws one for each.
        compat: sell slots as AuctionGym does: none without a next bid.
        render_mode: only None.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self,
        config: AuctionConfig | Path | str | None = None,
        agent: str | None = None,
        rounds_per_step: int = 1,
        episode_rounds: int = 200,
        catalogue_seed: int | None = None,
        compat: bool = False,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self._worlds = AuctionVectorEnv(
            1, config, agent, rounds_per_step, episode_rounds, catalogue_seed, compat, AutoresetMode.DISABLED
        )
        self.observation_space = self._worlds.single_observation_space
        self.action_space = self._worlds.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begins a new episode, of a new stream where a seed is given."""
        super().reset(seed=seed)
        observation, _ = self._worlds.reset(seed=seed, options=options)
        return observation[0], {}

    def step(self, action: Float32Array) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """The step's auctions; see the module's text."""
        observation, reward, terminated, truncated, infos = self._worlds.step(np.asarray(action)[None])
        info = {name: float(figure[0]) for name, figure in infos.items()}
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info


def _check_lengths(num_envs: int, rounds_per_step: int, episode_rounds: int) -> None:
    if num_envs < 1:
        raise ConfigError(f"num_envs is {num_envs}; at least one world is needed")
    if rounds_per_step < 1 or episode_rounds < rounds_per_step or episode_rounds % rounds_per_step:
        msg = (
            f"episode_rounds is {episode_rounds} and rounds_per_step {rounds_per_step}; "
            "an episode is a whole number of steps: make one a multiple of the other"
        )
        raise ConfigError(msg)


def _make_spaces(config: AuctionConfig) -> tuple[gym.spaces.Box, gym.spaces.Box]:
    reach = np.full(config.obs_embedding_size, _CONTEXT_REACH_SD * config.embedding_var)
    high = np.append(reach, (1.0, _ITEM_VALUE_LIMIT, 1.0, _PRICE_LIMIT, 1.0, 1.0, _PRICE_LIMIT, _ITEM_VALUE_LIMIT, 1.0))
    low = np.append(-reach, np.zeros(9))
    observation = gym.spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
    return observation, gym.spaces.Box(0.0, MAX_MULTIPLIER, (1,), np.float32)


def _list_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    if seed is None:
        return [None] * num_envs
    seeds: list[int | None] = list(range(seed, seed + num_envs)) if isinstance(seed, int) else list(seed)
    if len(seeds) != num_envs:
        raise ConfigError(f"{len(seeds)} seeds for {num_envs} worlds: give one for each, or one whole number in all")
    return seeds


def _make_rng(seed: int | None) -> np.random.Generator:
    return np.random.default_rng(None if seed is None else np.random.SeedSequence((_STREAM_TAG, seed)))


def _check_actions(actions: Float32Array, num_envs: int) -> FloatArray:
    multiplier = np.asarray(actions, dtype=np.float64)
    if multiplier.shape != (num_envs, 1):
        raise ActionError(f"actions have shape {multiplier.shape}; give bid multipliers of shape {(num_envs, 1)}")
    if not ((multiplier >= 0.0) & (multiplier <= MAX_MULTIPLIER)).all():
        raise ActionError(f"a bid multiplier is outside [0, {MAX_MULTIPLIER:g}] or not finite: {multiplier.ravel()}")
    return multiplier[:, 0]


@njit(cache=True)
def _clear(
    bids: FloatArray, place: NDArray[np.int64], num_slots: NDArray[np.int64], first_price: bool, sell_all: bool
) -> tuple[FloatArray, FloatArray]:
    """Whether the agent won, and what it paid: float64 [worlds, rounds] each."""
    worlds, rounds, bidders = bids.shape
    won, price = np.zeros((worlds, rounds)), np.zeros((worlds, rounds))
    winners = np.empty(max(bidders, 1), dtype=np.int64)
    prices, second_prices = np.empty(winners.size), np.empty(winners.size)
    for world in range(worlds):
        for r in range(rounds):
            slots = min(num_slots[world, r], bidders)
            filled = clear_auction(bids[world, r], slots, first_price, 0.0, sell_all, winners, prices, second_prices)
            for slot in range(filled):
                if winners[slot] == place[world, r]:
                    won[world, r], price[world, r] = 1.0, prices[slot]
    return won, price

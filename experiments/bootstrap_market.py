"""What a calibrated market adds to a log: the expectation of action zero, and worlds to roll out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium.vector import AutoresetMode

from envs.market.env import MultiChannelVectorEnv
from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.session import PRIVILEGED_SIZE, RewardSettings
from experiments.planners import load_reference_params
from experiments.worlds import compute_optimum
from gaelp_rl.bootstrap.transitions import TransitionDays, join_days
from gaelp_rl.config.bootstrap import BootstrapConfig
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.features.actions import ACTION_SIZE, ActionReach
from gaelp_rl.rewards.priced import compute_priced_reward

__all__ = ["ZeroExpectation", "estimate_action_zero", "privileged_size", "roll_out_market"]


@dataclass(frozen=True, slots=True)
class ZeroExpectation:
    """What action zero is expected to bring in a log's hours.

    Attributes:
        reward: float64 [hours]; priced, in conversions.
        scale: per cent of an hour of a typical world's hindsight optimum, per conversion.
    """

    reward: FloatArray
    scale: float


def estimate_action_zero(
    family: FamilyConfig, plans: Sequence[PlanBatch], prices: FloatArray, worlds: int, seed: int
) -> ZeroExpectation:
    """Runs the reference plans of a log, as they were made on its own reports, in worlds of its market.

    Args:
        family: the calibrated market.
        plans: of one world, by hour, at most a world's life.
        prices: float64 [hours]; currency per conversion.
        worlds: how many are averaged.
        seed: first seed of the worlds.
    """
    market = BatchedMarket(family, worlds)
    market.reset(make_world_keys("train", seed, worlds))
    optimum = compute_optimum(market.compute_response_curves(), family.objective)
    scale = float(np.mean(100.0 * market.num_hours / np.maximum(optimum, 1.0)))
    reward = np.zeros(len(plans))
    for hour, plan in enumerate(plans):
        _, outcome = market.step(_repeat(plan, worlds))
        spend = outcome.spend_micros.sum(axis=1) / MICROS
        conversions = outcome.expected_conversions.sum(axis=1)
        reward[hour] = compute_priced_reward(conversions, spend, float(prices[hour])).mean()
    return ZeroExpectation(reward, scale)


def roll_out_market(family: FamilyConfig, config: SprintConfig, bootstrap: BootstrapConfig) -> TransitionDays:
    """Days of the calibrated market under random actions around zero, with training's own rewards and critics' entries.

    Args:
        family: the calibrated market.
        config: reach, rewards and critics of the sprint.
        bootstrap: worlds, days, noise and seed.
    """
    env = MultiChannelVectorEnv(
        num_envs=bootstrap.rollout_worlds,
        families=(family,),
        split="train",
        autoreset_mode=AutoresetMode.SAME_STEP,
        params=load_reference_params(),
        reach=ActionReach(config.max_log_bid, config.max_logit),
        reward=RewardSettings(compute_optimum, config.subtract_twin, config.pacing_weight, config.training.gamma),
        privileged=config.privileged_critic,
    )
    rng = np.random.default_rng([bootstrap.seed, 7])
    observation, _ = env.reset(seed=bootstrap.seed)
    parts = []
    for _ in range(bootstrap.rollout_days):
        day, observation = _roll_day(env, observation, rng, bootstrap.rollout_noise)
        parts.append(day)
    env.close()
    return join_days(parts)


def _roll_day(
    env: MultiChannelVectorEnv, observation: np.ndarray, rng: np.random.Generator, noise: float
) -> tuple[TransitionDays, np.ndarray]:
    worlds = env.num_envs
    observations, actions, rewards, costs = [], [], [], []
    for _ in range(HOURS_PER_DAY):
        action = np.clip(noise * rng.standard_normal((worlds, ACTION_SIZE)), -1.0, 1.0).astype(np.float32)
        following, reward, terminated, _, infos = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        costs.append(infos.get("constraint_cost", np.zeros(worlds)))
        observation = following
    day = TransitionDays(
        observations=np.array([*observations, infos["final_obs"]], dtype=np.float32),
        actions=np.array(actions),
        rewards=np.array(rewards, dtype=np.float32),
        costs=np.array(costs, dtype=np.float32),
        terminated=np.asarray(terminated, dtype=np.bool_),
    )
    return day, observation


def _repeat(plan: PlanBatch, worlds: int) -> PlanBatch:
    return PlanBatch(
        bid_micros=np.repeat(plan.bid_micros, worlds, axis=0),
        daily_budget_micros=np.repeat(plan.daily_budget_micros, worlds, axis=0),
        device_modifier=np.repeat(plan.device_modifier, worlds, axis=0),
        active=np.repeat(plan.active, worlds, axis=0),
    )


def privileged_size(config: SprintConfig) -> int:
    """Entries that the sprint's critics read behind the schema's own."""
    return PRIVILEGED_SIZE if config.privileged_critic else 0

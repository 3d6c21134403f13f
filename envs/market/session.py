"""One family's worlds as a decision process: market, ledger, residual loop and reward together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.market.market import BatchedMarket
from envs.market.noise import derive_next_keys
from envs.market.outcome import Outcome
from envs.market.simulation import make_ledger
from gaelp_rl.config.calibration import make_calibration_arrays
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.control.market_model import make_channel_priors, make_market_model
from gaelp_rl.control.reference import ReferenceController, ReferenceParams
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.features.actions import ActionReach, check_action
from gaelp_rl.features.residual import ResidualLoop
from gaelp_rl.features.schema import Float32Array
from gaelp_rl.rewards.lagrangian import compute_cpa_cost
from gaelp_rl.rewards.priced import compute_priced_reward
from gaelp_rl.rewards.shadow_price import SmoothedShadowPrice
from gaelp_rl.rewards.shaping import compute_pacing_potential, compute_shaping

__all__ = [
    "PRIVILEGED_LIMIT",
    "PRIVILEGED_SIZE",
    "ComputeOptimum",
    "MarketSession",
    "RewardSettings",
    "SessionStep",
]

PRIVILEGED_SIZE = 3 * NUM_CHANNELS + 3
"""Entries that ``MarketSession.compute_privileged`` gives for each world."""

PRIVILEGED_LIMIT = 3.0
"""Largest absolute entry of it."""

ComputeOptimum = Callable[[ResponseCurves, Objective], FloatArray]
"""Expected conversions of each world's hindsight optimum, float64 [worlds], from its true curves."""


@dataclass(frozen=True, slots=True)
class RewardSettings:
    """How the dense reward is made.

    Attributes:
        compute_optimum: if given, rewards are in per cent of an hour of the world's own hindsight
            optimum, so that every world counts as it does in the score; else in conversions.
        subtract_twin: subtract what action zero earns in the same world under the same noise, a
            baseline that no action changes.
        pacing_weight: of the pacing potential's shaping, conversions per budget of deviation; 0 for none.
        gamma: the learner's discount; shaping with another one would change what is optimal.
    """

    compute_optimum: ComputeOptimum | None = None
    subtract_twin: bool = True
    pacing_weight: float = 0.0
    gamma: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionStep:
    """What one hour brought.

    Attributes:
        observation: float32 [worlds, features] of the next hour; of the dead world's last moment
            if ``terminated``.
        reward: float64 [worlds].
        constraint_cost: float64 [worlds]; spend above the CPA target's allowance, in conversions.
        truncated: midnight was reached.
        terminated: the worlds' last midnight was reached.
        terms: unpriced parts of the reward for logs, each float64 [worlds].
    """

    observation: Float32Array
    reward: FloatArray
    constraint_cost: FloatArray
    truncated: bool
    terminated: bool
    terms: dict[str, FloatArray]


class _Strand:
    """A market with its books and loop, stepped by actions."""

    def __init__(self, family: FamilyConfig, num_worlds: int, params: ReferenceParams, reach: ActionReach) -> None:
        self.market = BatchedMarket(family, num_worlds)
        controller = ReferenceController(make_market_model(family), family.objective, params)
        self.loop = ResidualLoop(controller, make_channel_priors(family), reach)

    def reset(self, keys: NDArray[np.uint64]) -> Float32Array:
        self.ledger = make_ledger(self.market)
        self.ledger.observe(self.market.reset(keys))
        self.ledger.record_plan(self.market.make_initial_plan())
        self.loop.reset(self.ledger)
        return self.loop.observe(self.ledger)

    def step(self, action: NDArray[np.floating] | None) -> tuple[Outcome, PlanBatch]:
        """Applies an action (None for action zero) and reads the next reports."""
        if action is None:
            action = np.zeros((self.market.num_worlds, 2 * self.ledger.bid.shape[1]))
        plan = self.loop.decode(action, self.ledger)
        report, outcome = self.market.step(plan)
        self.ledger.record_plan(plan)
        self.ledger.observe(report)
        return outcome, plan


class MarketSession:
    """Worlds of one family, all at the same hour; an episode is a day, a world lives 28.

    Attributes:
        num_worlds: leading axis.
        family: the worlds' family.
    """

    def __init__(
        self,
        family: FamilyConfig,
        num_worlds: int,
        params: ReferenceParams | None = None,
        reach: ActionReach | None = None,
        reward: RewardSettings | None = None,
    ) -> None:
        self.family = family
        self.num_worlds = num_worlds
        self._reward = reward or RewardSettings()
        params, reach = params or ReferenceParams(), reach or ActionReach()
        self._strand = _Strand(family, num_worlds, params, reach)
        self._twin = _Strand(family, num_worlds, params, reach) if self._reward.subtract_twin else None
        traffic = make_calibration_arrays(family.calibration).hour_traffic
        self._traffic_so_far = np.append(0.0, traffic.mean(axis=0).cumsum()[:-1])
        self._keys = np.zeros(num_worlds, dtype=np.uint64)
        self._observation: Float32Array | None = None

    @property
    def is_started(self) -> bool:
        """Whether ``start_worlds`` has been called."""
        return self._observation is not None

    @property
    def keys(self) -> NDArray[np.uint64]:
        """Of the present worlds, uint64 [worlds]."""
        return self._keys

    @property
    def controller(self) -> ReferenceController:
        """The reference controller that actions are relative to."""
        return self._strand.loop.controller

    @property
    def is_midnight(self) -> bool:
        """Whether a day has just ended or the worlds have just begun."""
        return self._strand.market.hour % HOURS_PER_DAY == 0

    @property
    def is_over(self) -> bool:
        """Whether the worlds have lived their days."""
        return self._strand.market.hour >= self._strand.market.num_hours

    @property
    def observation(self) -> Float32Array:
        """The present observation, float32 [worlds, features]."""
        if self._observation is None:
            return self.start_worlds(self._keys)
        return self._observation

    def start_worlds(self, keys: NDArray[np.uint64]) -> Float32Array:
        """Begins new worlds.

        Args:
            keys: uint64 [worlds].

        Returns:
            The first observation.
        """
        self._keys = keys.copy()
        self._observation = self._strand.reset(keys)
        self._truth = self._strand.market.compute_true_factors()
        if self._twin is not None:
            self._twin.reset(keys)
        self._price = SmoothedShadowPrice(self._strand.loop.controller.theta)
        self._scale = np.ones(self.num_worlds)
        if self._reward.compute_optimum is not None:
            curves = self._strand.market.compute_response_curves()
            optimum = self._reward.compute_optimum(curves, self.family.objective)
            self._scale = 100.0 * self._strand.market.num_hours / np.maximum(optimum, 1.0)
        return self._observation

    def start_next_worlds(self) -> Float32Array:
        """Begins the worlds that follow these; the sequence is a function of the first keys."""
        return self.start_worlds(derive_next_keys(self._keys))

    def step(self, action: NDArray[np.floating]) -> SessionStep:
        """Applies one action to every world for one hour.

        Args:
            action: float [worlds, 8] in [-1, 1].

        Returns:
            The step; see ``SessionStep``.

        Raises:
            ActionError: the action is not finite, outside the box or of another shape.
        """
        check_action(action, self.num_worlds)
        theta, potential = self._price_hour(), self._compute_potential()
        outcome, _ = self._strand.step(action)
        spend = outcome.spend_micros.sum(axis=1) / MICROS
        conversions = outcome.expected_conversions.sum(axis=1)
        reward = compute_priced_reward(conversions, spend, theta) - self._step_twin(theta)
        terminated = np.full(self.num_worlds, self.is_over)
        reward += compute_shaping(potential, self._compute_potential(), self._reward.gamma, terminated)
        self._observation = self._strand.loop.observe(self._strand.ledger)
        self._truth = self._strand.market.compute_true_factors()
        target = self.family.objective.cpa_target
        return SessionStep(
            observation=self._observation,
            reward=reward * self._scale,
            constraint_cost=compute_cpa_cost(spend, conversions, target) / target * self._scale,
            truncated=self.is_midnight,
            terminated=self.is_over,
            terms={"expected_conversions": conversions, "spend": spend},
        )

    def compute_privileged(self) -> Float32Array:
        """What only a simulator knows: for critics in training, never for a policy.

        Returns:
            float32 [worlds, PRIVILEGED_SIZE], clipped to +-``PRIVILEGED_LIMIT``: by channel the true
            log conversion rate, price and volume less the controller's beliefs; then the log of its
            theta over the smoothed one, and the account's and its twin's spend today as shares of
            the daily budget.
        """
        strand, twin = self._strand, self._twin or self._strand
        controller, truth = strand.loop.controller, self._truth
        budget = self.family.objective.daily_budget
        columns = (
            truth.log_conversion - controller.compute_log_conversion(),
            truth.log_price - controller.beliefs.log_price,
            truth.log_volume - controller.beliefs.log_volume,
            (np.log(controller.theta) - self._price.log_mean)[:, None],
            strand.ledger.spend_today.sum(axis=1, keepdims=True) / budget,
            twin.ledger.spend_today.sum(axis=1, keepdims=True) / budget,
        )
        return np.concatenate(columns, axis=1, dtype=np.float32).clip(-PRIVILEGED_LIMIT, PRIVILEGED_LIMIT)

    def _compute_potential(self) -> FloatArray:
        """The pacing potential of the present state: spend against the day's usual traffic, [worlds]."""
        spend = self._strand.ledger.spend_today.sum(axis=1)
        budget = self.family.objective.daily_budget
        planned = np.full_like(spend, budget * self._traffic_so_far[self._strand.market.hour % HOURS_PER_DAY])
        return compute_pacing_potential(spend, planned, budget, self._reward.pacing_weight)

    def _step_twin(self, theta: FloatArray) -> FloatArray:
        """Steps the twin, if there is one, by action zero; its priced reward, float64 [worlds]."""
        twin = self._twin
        if twin is None:
            return np.zeros(self.num_worlds)
        outcome, _ = twin.step(None)
        twin.loop.observe(twin.ledger)
        spend = outcome.spend_micros.sum(axis=1) / MICROS
        return compute_priced_reward(outcome.expected_conversions.sum(axis=1), spend, theta)

    def _price_hour(self) -> FloatArray:
        """Marginal spend per true conversion in the coming hour, float64 [worlds].

        The controller's theta holds under its beliefs; what the money would truly buy through its
        plan corrects it.
        """
        controller = self._strand.loop.controller
        share = controller.budget / controller.budget.sum(axis=1, keepdims=True)
        true_to_believed = np.exp(self._truth.log_conversion - controller.compute_log_conversion())
        return self._price.update(controller.theta) / (share * true_to_believed).sum(axis=1)

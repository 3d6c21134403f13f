"""An account's log as transitions of the training schema, through training's own ledger and loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gaelp_rl.domain.ledger import HOURS_PER_DAY, ReportLedger
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray, ReportBatch
from gaelp_rl.errors import DataError
from gaelp_rl.features.actions import ACTION_SIZE, encode_action
from gaelp_rl.features.residual import ResidualLoop
from gaelp_rl.features.schema import Float32Array
from gaelp_rl.rewards.lagrangian import compute_cpa_cost
from gaelp_rl.rewards.priced import compute_priced_reward
from gaelp_rl.rewards.shadow_price import SmoothedShadowPrice

__all__ = ["ReplayedHours", "TransitionDays", "join_days", "make_transition_days", "replay_log"]

_EDGE = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class TransitionDays:
    """Whole days of transitions, D of them, laid out as training's fragments are.

    Attributes:
        observations: float32 [25, D, features]; privileged entries behind the schema's own.
        actions: float32 [24, D, actions], in [-1, 1].
        rewards, costs: float32 [24, D].
        terminated: bool [D]; whether the day ended its world.
    """

    observations: Float32Array
    actions: Float32Array
    rewards: Float32Array
    costs: Float32Array
    terminated: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    @property
    def num_days(self) -> int:
        """How many days."""
        return int(self.terminated.size)


@dataclass(frozen=True, slots=True)
class ReplayedHours:
    """A log seen as training would have seen it, H hours of one account.

    Attributes:
        observations: float32 [H + 1, features]; before each hour, and after the last.
        actions: float32 [H, actions]; what the logged plans are, relative to the controller's.
        prices: float64 [H]; the smoothed shadow price, currency per conversion.
        reference_plans: what action zero would have set in each hour of the log.
        edge_share: share of the actions' entries at or beyond the edge of the box.
    """

    observations: Float32Array
    actions: Float32Array
    prices: FloatArray
    reference_plans: tuple[PlanBatch, ...]
    edge_share: float


def replay_log(
    reports: Sequence[ReportBatch],
    plans: Sequence[PlanBatch],
    loop: ResidualLoop,
    ledger: ReportLedger,
    before: PlanBatch | None = None,
) -> ReplayedHours:
    """Drives the ledger and the residual loop with what an account was told and what it set.

    Args:
        reports: of one world, hours 0 to H.
        plans: set for hours 0 to H - 1.
        loop: makes observations and reference plans.
        ledger: an empty one, of one world.
        before: in force before hour 0; None where nobody knows, and the first plan stands for it.

    Raises:
        DataError: there is not one report more than there are plans, or no plan at all.
    """
    if not plans or len(reports) != len(plans) + 1:
        msg = f"{len(reports)} reports and {len(plans)} plans: a log needs H plans and H + 1 reports, H at least 1"
        raise DataError(msg)
    ledger.observe(reports[0])
    ledger.record_plan(before or plans[0])
    loop.reset(ledger)
    observations, actions, prices, references = [loop.observe(ledger)[0]], [], [], []
    price = SmoothedShadowPrice(loop.controller.theta)
    zero = np.zeros((1, ACTION_SIZE))
    for plan, report in zip(plans, reports[1:], strict=True):
        controller = loop.controller
        bid, budget = plan.bid_micros / MICROS, plan.daily_budget_micros / MICROS
        actions.append(encode_action(bid, budget, controller.bid, controller.budget, loop.reach)[0])
        prices.append(price.update(controller.theta)[0])
        references.append(loop.decode(zero, ledger))
        ledger.record_plan(plan)
        ledger.observe(report)
        observations.append(loop.observe(ledger)[0])
    action = np.array(actions)
    return ReplayedHours(
        observations=np.array(observations, dtype=np.float32),
        actions=action.astype(np.float32),
        prices=np.array(prices),
        reference_plans=tuple(references),
        edge_share=float((np.abs(action) >= _EDGE).mean()),
    )


def make_transition_days(
    hours: ReplayedHours,
    conversions: FloatArray,
    spend: FloatArray,
    baseline: FloatArray,
    cpa_target: float,
    scale: float,
    privileged: int,
    life_hours: int,
) -> TransitionDays:
    """Whole days of a replayed log with training's reward.

    The reward of an hour is ``(conversions - spend / price - baseline) * scale``. A log has no twin under
    the same noise; ``baseline`` stands for it and must not depend on the logged action, so that it
    takes noise away and moves no preference between actions. Privileged entries are unknown: zeros.

    Args:
        hours: the replayed log, H hours.
        conversions: float64 [H]; by hour of the click, matured.
        spend: float64 [H]; currency units.
        baseline: float64 [H]; priced reward that action zero is expected to earn, in conversions.
        cpa_target: currency units per conversion.
        scale: of rewards; see ``RewardSettings.compute_optimum``.
        privileged: how many privileged entries training's observations end with.
        life_hours: how long a world lives; the day that ends it is terminated.
    """
    days = len(hours.actions) // HOURS_PER_DAY
    used = days * HOURS_PER_DAY
    reward = (compute_priced_reward(conversions, spend, hours.prices) - baseline) * scale
    cost = compute_cpa_cost(spend, conversions, cpa_target) / cpa_target * scale
    padded = np.pad(hours.observations, ((0, 0), (0, privileged)))
    rows = np.arange(HOURS_PER_DAY + 1)[:, None] + HOURS_PER_DAY * np.arange(days)[None, :]
    return TransitionDays(
        observations=np.ascontiguousarray(padded[rows]),
        actions=_by_day(hours.actions[:used]),
        rewards=_by_day(reward[:used].astype(np.float32)),
        costs=_by_day(cost[:used].astype(np.float32)),
        terminated=(np.arange(1, days + 1) * HOURS_PER_DAY) == life_hours,
    )


def join_days(parts: Sequence[TransitionDays]) -> TransitionDays:
    """All days of several, in order."""
    names = ("observations", "actions", "rewards", "costs")
    joined = {name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in names}
    return TransitionDays(**joined, terminated=np.concatenate([part.terminated for part in parts]))


def _by_day(rows: Float32Array) -> Float32Array:
    """[days * 24, ...] as [24, days, ...]."""
    return np.ascontiguousarray(rows.reshape(-1, HOURS_PER_DAY, *rows.shape[1:]).swapaxes(0, 1))

"""The reference controller: Bayesian beliefs, one scalar re-solved every hour.

Given beliefs about conversion rates, prices and volumes, the plan that buys the most conversions
equalises the marginal spend per conversion, theta, over channels and the hours left (Balseiro and
Gur 2019; Deng et al. 2023). So every hour the controller finds the one theta at which the day's
remaining money is spent and the 28-day CPA stays below its target, and bids what a click is worth
at it. It is action zero of the learned policy, a comparator, and the live fallback.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gaelp_rl.control.beliefs import Beliefs, make_beliefs, update_beliefs
from gaelp_rl.control.change_limits import EDIT_RATIO, is_edit_hour
from gaelp_rl.control.market_model import MarketModel, locate
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY, METRICS, RING_DAYS, ReportLedger
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray

__all__ = ["REFERENCE_FEATURES", "ReferenceController", "ReferenceParams"]

REFERENCE_FEATURES = tuple(
    f"{channel}.reference.{name}"
    for channel in CHANNELS
    for name in ("conversion_log_ratio", "conversion_log_sd", "price_log_ratio", "volume_log_ratio", "bid_log_ratio")
)
"""Names of the columns of ``ReferenceController.features``, channel by channel."""

_CLICKS, _SPEND = METRICS.index("clicks"), METRICS.index("spend")
_BID_RING = 8
_MAX_BID_RATIO, _MIN_BID = 8.0, 0.02
_BISECTIONS = 22
_LOG_THETA_BOUNDS = (math.log(0.5), math.log(5000.0))
_LOG_EDIT_DOWN, _LOG_EDIT_UP = math.log(1.0 - EDIT_RATIO), math.log(1.0 + EDIT_RATIO)
_DAYS = RING_DAYS


@dataclass(frozen=True, slots=True)
class ReferenceParams:
    """What can be tuned; the defaults won on validation worlds (docs/benchmarks.md).

    Attributes:
        prior_strength: divides the prior variances.
        optimism: posterior standard deviations of log CVR added to the mean, so that an unexplored
            channel is tried.
        drift_gain: multiplies the model's drift variances.
        budget_headroom: platform budgets as a multiple of the planned spend.
        budget_margin: share of the daily budget that is left unplanned.
        cpa_margin: share of the CPA target that is aimed at.
    """

    prior_strength: float = 1.0
    optimism: float = 0.25
    drift_gain: float = 1.0
    budget_headroom: float = 1.6
    budget_margin: float = 0.0
    cpa_margin: float = 0.97


class Solution(NamedTuple):
    """Result of one re-solve: theta [worlds], the others [worlds, channels] in currency units."""

    theta: FloatArray
    bid: FloatArray
    budget: FloatArray


class ReferenceController:
    """Plans every channel and hour from reports alone; see the module's text.

    Attributes:
        name: ``reference``.
        beliefs: what reports have taught so far.
        theta: float64 [worlds]; marginal spend per conversion of the last plan.
        bid: float64 [worlds, channels]; last planned base bid, currency units, unrounded.
        budget: float64 [worlds, channels]; last planned daily budget, unrounded.
    """

    name = "reference"

    def __init__(self, model: MarketModel, objective: Objective, params: ReferenceParams | None = None) -> None:
        self.model = model
        self.objective = objective
        self.params = params or ReferenceParams()
        self.beliefs = make_beliefs(0, model, 1.0)

    def reset(self, ledger: ReportLedger) -> None:
        """Forgets everything and starts on a fresh ledger."""
        worlds = ledger.num_worlds
        self.beliefs = make_beliefs(worlds, self.model, self.params.prior_strength)
        self._bids = np.tile(ledger.bid, (_BID_RING, 1, 1))
        self._clicks_so_far = np.zeros((worlds, NUM_CHANNELS))
        self._spend_so_far = np.zeros(worlds)
        self.theta = np.zeros(worlds)
        self.bid = ledger.bid.copy()
        self.budget = ledger.daily_budget.copy()

    def plan(self, ledger: ReportLedger) -> PlanBatch:
        """Learns from the newest reports and re-solves for the hours left of the day."""
        self._learn(ledger)
        solution = _make_solution(ledger.num_worlds)
        _solve(
            ledger.hour,
            is_edit_hour(ledger.hour),
            ledger.spend_today,
            ledger.bid,
            self._clicks_so_far,
            self._spend_so_far,
            self.beliefs,
            self.model,
            self.objective.daily_budget * (1.0 - self.params.budget_margin),
            self.objective.cpa_target * self.params.cpa_margin,
            self.params.optimism,
            self.params.budget_headroom,
            solution,
        )
        self.theta, self.bid, self.budget = solution
        modifier = np.broadcast_to(self.model.device_modifier, (ledger.num_worlds, *self.model.device_modifier.shape))
        return PlanBatch.from_currency(self.bid, self.budget, modifier)

    def compute_features(self) -> FloatArray:
        """Beliefs and last bid for the observation, float32 [worlds, len(REFERENCE_FEATURES)]."""
        columns = (
            self.beliefs.log_conversion,
            np.sqrt(self.beliefs.conversion_variance),
            self.beliefs.log_price,
            self.beliefs.log_volume,
            np.log(self.bid / self.model.price_median),
        )
        return np.stack(columns, axis=-1).reshape(self.bid.shape[0], -1)

    def _learn(self, ledger: ReportLedger) -> None:
        if ledger.hour == 0:
            return
        self._bids[(ledger.hour - 1) % _BID_RING] = ledger.bid
        budget = self.objective.daily_budget
        spent_day = ledger.spend_today.sum(axis=1)
        is_free = spent_day < 0.97 * budget
        if ledger.hour_of_day == 0:
            is_free = ledger.days[(ledger.day - 1) % _DAYS, :, :, _SPEND].sum(axis=1) < 0.97 * budget
        update_beliefs(
            ledger.hour, ledger.last_hour, self._bids, is_free, self.beliefs, self.model, self.params.drift_gain
        )
        self._clicks_so_far += ledger.last_hour[:, :, _CLICKS]
        self._spend_so_far += ledger.last_hour[:, :, _SPEND].sum(axis=1)


def _make_solution(worlds: int) -> Solution:
    return Solution(np.empty(worlds), np.empty((worlds, NUM_CHANNELS)), np.empty((worlds, NUM_CHANNELS)))


@njit(cache=True, error_model="numpy")
def _solve(
    hour: int,
    may_edit: bool,
    spend_today: FloatArray,
    bid_in_force: FloatArray,
    clicks_so_far: FloatArray,
    spend_so_far: FloatArray,
    beliefs: Beliefs,
    model: MarketModel,
    daily_budget: float,
    cpa_aim: float,
    optimism: float,
    headroom: float,
    solution: Solution,
) -> None:
    """Bisects ln theta in every world until budget or CPA binds, then sets bids and budgets."""
    hour_of_day, weekday = hour % HOURS_PER_DAY, (hour // HOURS_PER_DAY) % 7
    days_left = max(_DAYS - hour // HOURS_PER_DAY, 1)
    log_cpa_aim = math.log(cpa_aim)
    rate, price, volume = np.empty(NUM_CHANNELS), np.empty(NUM_CHANNELS), np.empty(NUM_CHANNELS)
    log_worth, low, high = np.empty(NUM_CHANNELS), np.empty(NUM_CHANNELS), np.empty(NUM_CHANNELS)
    for w in range(spend_today.shape[0]):
        left, bought = daily_budget, 0.0
        for c in range(NUM_CHANNELS):
            sd = math.sqrt(beliefs.conversion_variance[w, c])
            rate[c] = model.conversion_rate[c] * math.exp(beliefs.log_conversion[w, c] + 0.5 * sd * sd)
            price[c] = model.price_median[c] * math.exp(beliefs.log_price[w, c])
            volume[c] = model.click_volume[c] * model.weekday_traffic[c, weekday] * math.exp(beliefs.log_volume[w, c])
            log_worth[c] = math.log(rate[c] / price[c]) + optimism * sd
            held = math.log(max(bid_in_force[w, c], _MIN_BID) / price[c])
            low[c], high[c] = _bound_log_bid(c, held, may_edit, model)
            left -= spend_today[w, c] + _estimate_unreported(c, hour_of_day, held, price[c] * volume[c], model)
            bought += clicks_so_far[w, c] * rate[c]
        log_low, log_high = _LOG_THETA_BOUNDS
        for _ in range(_BISECTIONS):
            log_theta = 0.5 * (log_low + log_high)
            spend, conversions = 0.0, 0.0
            for c in range(NUM_CHANNELS):
                x = _choose_log_bid(c, log_theta + log_worth[c], low[c], high[c], model)
                g, weight = locate(x)
                table = model.day_left
                unit_spend = table[c, hour_of_day, g, 0] * (1.0 - weight) + table[c, hour_of_day, g + 1, 0] * weight
                unit_worth = table[c, hour_of_day, g, 1] * (1.0 - weight) + table[c, hour_of_day, g + 1, 1] * weight
                spend += volume[c] * price[c] * unit_spend
                conversions += volume[c] * rate[c] * unit_worth
            allowed = _compute_allowed_spend(cpa_aim, conversions, bought, spend_so_far[w], days_left)
            over_cpa = log_theta > log_cpa_aim and spend > allowed
            if spend > left or over_cpa:
                log_high = log_theta
            else:
                log_low = log_theta
        solution.theta[w] = math.exp(log_low)
        for c in range(NUM_CHANNELS):
            x = _choose_log_bid(c, log_low + log_worth[c], low[c], high[c], model)
            base = price[c] * math.exp(x) * model.bid_by_hour[c, hour_of_day]
            solution.bid[w, c] = min(max(base, _MIN_BID), _MAX_BID_RATIO * model.price_median[c])
            g, weight = locate(x)
            planned = model.day_left[c, hour_of_day, g, 0] * (1.0 - weight)
            planned += model.day_left[c, hour_of_day, g + 1, 0] * weight
            planned *= volume[c] * price[c]
            solution.budget[w, c] = max(headroom * (spend_today[w, c] + planned), 0.02 * daily_budget)


@njit(cache=True, inline="always")
def _bound_log_bid(c: int, held: float, may_edit: bool, model: MarketModel) -> tuple[float, float]:
    """Lowest and highest ln(base bid / median) that the channel's inertia allows this hour."""
    if model.inertial[c] == 0:
        return -20.0, 20.0
    if not may_edit:
        return held, held
    return held + _LOG_EDIT_DOWN, held + _LOG_EDIT_UP


@njit(cache=True, inline="always")
def _choose_log_bid(c: int, log_worth: float, low: float, high: float, model: MarketModel) -> float:
    """ln(base bid / median) at which the next click costs e^log_worth medians, within bounds."""
    g, weight = locate(log_worth)
    x = model.log_bid_of_worth[c, g] * (1.0 - weight) + model.log_bid_of_worth[c, g + 1] * weight
    return min(max(x, low), high)


@njit(cache=True, inline="always")
def _estimate_unreported(c: int, hour_of_day: int, held: float, daily_spend: float, model: MarketModel) -> float:
    """Spend of the hours that have ended today but are not reported yet, currency units."""
    hours = min(model.lag_hours[c], hour_of_day)
    if hours == 0:
        return 0.0
    g, weight = locate(held - math.log(model.hour_price[c, hour_of_day]))
    traffic = 0.0
    for back in range(1, hours + 1):
        traffic += model.hour_traffic[c, hour_of_day - back]
    return daily_spend * traffic * (model.spend_now[c, g] * (1.0 - weight) + model.spend_now[c, g + 1] * weight)


@njit(cache=True, inline="always")
def _compute_allowed_spend(
    cpa_aim: float, conversions: float, bought: float, spent: float, days_left: int
) -> float:
    """Most to spend in the rest of today, so that the 28-day CPA can still meet its aim.

    What was spent above (or saved below) the aim so far is spread over the days left. The caller
    ignores the limit while the next conversion costs less than the aim: buying it only helps.
    """
    balance = cpa_aim * bought - spent
    return cpa_aim * conversions + balance / days_left

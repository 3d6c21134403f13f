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

from gaelp_rl.control.beliefs import Beliefs, make_beliefs, update_beliefs
from gaelp_rl.control.change_limits import EDIT_RATIO, is_edit_hour
from gaelp_rl.control.market_model import MarketModel, locate
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY, METRICS, RING_DAYS, ReportLedger
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray

__all__ = ["REFERENCE_FEATURES", "ReferenceController", "ReferenceParams", "Solution"]

REFERENCE_FEATURES = tuple(
    f"{channel}.reference.{name}"
    for channel in CHANNELS
    for name in ("conversion_log_ratio", "conversion_log_sd", "price_log_ratio", "volume_log_ratio", "bid_log_ratio")
)
"""Names of the columns of ``ReferenceController.features``, channel by channel."""

_CLICKS, _SPEND, _CONVERSIONS, _EXPOSURE = (METRICS.index(m) for m in ("clicks", "spend", "conversions", "exposure"))
_BID_RING = 8
_MAX_BID_RATIO, _MIN_BID = 8.0, 0.02
_BISECTIONS = 22
_RATE, _PRICE, _VOLUME, _LOG_WORTH, _LOW, _HIGH, _UNREPORTED = range(7)
_CHANNEL_NUMBERS = 7
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
        cpa_caution: standard deviations of the conversions so far that are withheld at a world's end.
    """

    prior_strength: float = 1.0
    optimism: float = 0.25
    drift_gain: float = 1.0
    budget_headroom: float = 1.6
    budget_margin: float = 0.0
    cpa_margin: float = 1.0
    cpa_caution: float = 1.0


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
            self._estimate_balance(ledger),
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

    def compute_log_conversion(self) -> FloatArray:
        """Log of the posterior mean of each conversion rate over its prior, float64 [worlds, channels]."""
        return self.beliefs.log_conversion + 0.5 * self.beliefs.conversion_variance

    def _estimate_balance(self, ledger: ReportLedger) -> FloatArray:
        """What 28 days of conversions allow at the aimed CPA, less what was spent: currency units [worlds].

        Reported conversions count as they are; clicks whose conversions are still to come count at
        the believed rate. (Today's rate on the clicks of a month would take drift for a fact.) Of a
        count N the part ``cpa_caution`` sqrt(N), its Poisson noise, is withheld, the more the fewer
        days are left to make up for it.
        """
        sums = ledger.sum_28d
        rate = self.model.conversion_rate * np.exp(self.compute_log_conversion()) * self.model.bought_ratio
        unripe = np.maximum(sums[:, :, _CLICKS] - sums[:, :, _EXPOSURE], 0.0)
        bought = np.maximum((sums[:, :, _CONVERSIONS] + unripe * rate).sum(axis=1), 0.0)
        elapsed = min(ledger.hour / (_DAYS * HOURS_PER_DAY), 1.0)
        certain = bought - self.params.cpa_caution * elapsed * np.sqrt(bought)
        spend = sums[:, :, _SPEND].sum(axis=1)
        return np.asarray(self.objective.cpa_target * self.params.cpa_margin * certain - spend)

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


def _make_solution(worlds: int) -> Solution:
    return Solution(np.empty(worlds), np.empty((worlds, NUM_CHANNELS)), np.empty((worlds, NUM_CHANNELS)))


@njit(cache=True, error_model="numpy")
def _solve(
    hour: int,
    may_edit: bool,
    spend_today: FloatArray,
    bid_in_force: FloatArray,
    balance: FloatArray,
    beliefs: Beliefs,
    model: MarketModel,
    daily_budget: float,
    cpa_aim: float,
    optimism: float,
    headroom: float,
    solution: Solution,
) -> None:
    """Bisects ln theta in every world until budget or CPA binds, then sets bids and budgets."""
    hour_of_day = hour % HOURS_PER_DAY
    days_left = max(_DAYS - hour // HOURS_PER_DAY, 1)
    channels = np.empty((_CHANNEL_NUMBERS, NUM_CHANNELS))
    for w in range(spend_today.shape[0]):
        _read_channels(w, hour, may_edit, bid_in_force, beliefs, model, optimism, channels)
        left = daily_budget
        for c in range(NUM_CHANNELS):
            left -= spend_today[w, c] + channels[_UNREPORTED, c]
        log_theta = _bisect_log_theta(hour_of_day, left, cpa_aim, balance[w] / days_left, channels, model)
        solution.theta[w] = math.exp(log_theta)
        for c in range(NUM_CHANNELS):
            x = _choose_log_bid(c, log_theta, channels, model)
            price = channels[_PRICE, c]
            base = price * math.exp(x) * model.bid_by_hour[c, hour_of_day]
            solution.bid[w, c] = min(max(base, _MIN_BID), _MAX_BID_RATIO * model.price_median[c])
            g, weight = locate(x)
            unit_spend = model.day_left[c, hour_of_day, g, 0] * (1.0 - weight)
            unit_spend += model.day_left[c, hour_of_day, g + 1, 0] * weight
            planned = channels[_VOLUME, c] * price * unit_spend
            solution.budget[w, c] = max(headroom * (spend_today[w, c] + planned), 0.02 * daily_budget)


@njit(cache=True, inline="always")
def _read_channels(
    w: int,
    hour: int,
    may_edit: bool,
    bid_in_force: FloatArray,
    beliefs: Beliefs,
    model: MarketModel,
    optimism: float,
    channels: FloatArray,
) -> None:
    """Fills ``channels`` with what the beliefs say today."""
    hour_of_day, weekday = hour % HOURS_PER_DAY, (hour // HOURS_PER_DAY) % 7
    for c in range(NUM_CHANNELS):
        sd = math.sqrt(beliefs.conversion_variance[w, c])
        rate = model.conversion_rate[c] * math.exp(beliefs.log_conversion[w, c] + 0.5 * sd * sd)
        price = model.price_median[c] * math.exp(beliefs.log_price[w, c])
        volume = model.click_volume[c] * model.weekday_traffic[c, weekday] * math.exp(beliefs.log_volume[w, c])
        held = math.log(max(bid_in_force[w, c], _MIN_BID) / price)
        low, high = _bound_log_bid(c, held, may_edit, model)
        channels[_RATE, c] = rate
        channels[_PRICE, c] = price
        channels[_VOLUME, c] = volume
        channels[_LOG_WORTH, c] = math.log(rate / price) + optimism * sd
        channels[_LOW, c] = low
        channels[_HIGH, c] = high
        channels[_UNREPORTED, c] = _estimate_unreported(c, hour_of_day, held, price * volume, model)


@njit(cache=True, inline="always")
def _bisect_log_theta(
    hour_of_day: int, left: float, cpa_aim: float, balance: float, channels: FloatArray, model: MarketModel
) -> float:
    """The largest ln theta that the day's budget and the 28-day CPA allow.

    What was spent above (or saved below) the CPA aim so far is ``balance``, spread over the days
    left. While the next conversion costs less than the aim, buying it only helps, whatever the
    balance.
    """
    log_cpa_aim = math.log(cpa_aim)
    log_low, log_high = _LOG_THETA_BOUNDS
    table = model.day_left
    for _ in range(_BISECTIONS):
        log_theta = 0.5 * (log_low + log_high)
        spend, conversions = 0.0, 0.0
        for c in range(NUM_CHANNELS):
            g, weight = locate(_choose_log_bid(c, log_theta, channels, model))
            unit_spend = table[c, hour_of_day, g, 0] * (1.0 - weight) + table[c, hour_of_day, g + 1, 0] * weight
            unit_worth = table[c, hour_of_day, g, 1] * (1.0 - weight) + table[c, hour_of_day, g + 1, 1] * weight
            spend += channels[_VOLUME, c] * channels[_PRICE, c] * unit_spend
            conversions += channels[_VOLUME, c] * channels[_RATE, c] * unit_worth
        over_cpa = log_theta > log_cpa_aim and spend > cpa_aim * conversions + balance
        if spend > left or over_cpa:
            log_high = log_theta
        else:
            log_low = log_theta
    return log_low


@njit(cache=True, inline="always")
def _bound_log_bid(c: int, held: float, may_edit: bool, model: MarketModel) -> tuple[float, float]:
    """Lowest and highest ln(base bid / median) that the channel's inertia allows this hour."""
    if model.inertial[c] == 0:
        return -20.0, 20.0
    if not may_edit:
        return held, held
    return held + _LOG_EDIT_DOWN, held + _LOG_EDIT_UP


@njit(cache=True, inline="always")
def _choose_log_bid(c: int, log_theta: float, channels: FloatArray, model: MarketModel) -> float:
    """ln(base bid / median) at which the next conversion costs theta, within the channel's bounds."""
    g, weight = locate(log_theta + channels[_LOG_WORTH, c])
    x = model.log_bid_of_worth[c, g] * (1.0 - weight) + model.log_bid_of_worth[c, g + 1] * weight
    return min(max(x, channels[_LOW, c]), channels[_HIGH, c])


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

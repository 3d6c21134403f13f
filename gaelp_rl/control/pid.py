"""PID pacing: one bid level, steered by the distance to a spend profile and by the CPA.

Two loops on ln theta, the marginal spend per conversion, of which the lower one bids: a PID on the
share of the budget that should have been spent by now, and an integral on the 28-day CPA.

Source: Zhang et al., "Feedback control of real-time display advertising", WSDM 2016; Karlsson,
"Feedback control in programmatic advertising", IEEE Control Systems 2020 (several loops, the
lowest bids).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gaelp_rl.control.conversion_worth import compute_conversion_rate, compute_cpa_balance, make_theta_plan
from gaelp_rl.control.market_model import MarketModel
from gaelp_rl.control.spend_profile import compute_planned_reported_share, solve_prior_theta
from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray

__all__ = ["PidPacing", "PidParams"]

_LOG_THETA_BOUNDS = (math.log(0.5), math.log(5000.0))
_LOOP_GAP = 0.1


@dataclass(frozen=True, slots=True)
class PidParams:
    """What can be tuned; errors are shares of the daily budget.

    Attributes:
        proportional: ln theta per error.
        integral: ln theta per error and hour.
        derivative: ln theta per change of the error in one hour.
        cpa_gain: ln theta per hour for one daily budget of spend above the CPA aim.
        cpa_margin: share of the CPA target that is aimed at.
        prior_conversions: weight of the prior conversion rate, in conversions.
    """

    proportional: float = 2.0
    integral: float = 0.1
    derivative: float = 0.0
    cpa_gain: float = 0.005
    cpa_margin: float = 0.95
    prior_conversions: float = 5.0


class PidPacing:
    """PID on a spend profile with a second loop on the CPA; see the module's text.

    Attributes:
        name: ``pid-uniform`` or ``pid-profile``, by the profile given.
        theta: float64 [worlds]; marginal spend per conversion of the last plan, currency units.
    """

    def __init__(
        self,
        name: str,
        profile: FloatArray,
        model: MarketModel,
        objective: Objective,
        params: PidParams | None = None,
    ) -> None:
        self.name = name
        self.params = params or PidParams()
        self._model = model
        self._objective = objective
        self._planned_share = compute_planned_reported_share(profile, model.lag_hours)
        self._prior_log_theta = math.log(solve_prior_theta(model, objective.daily_budget))
        self.theta = np.zeros(0)

    def reset(self, ledger: ReportLedger) -> None:
        """Starts from the prior median world's theta."""
        worlds = ledger.num_worlds
        cpa_aim = self._objective.cpa_target * self.params.cpa_margin
        self.theta = np.full(worlds, math.exp(self._prior_log_theta))
        self._level = np.full(worlds, self._prior_log_theta)
        self._cpa_level = np.full(worlds, max(self._prior_log_theta, math.log(cpa_aim)))
        self._error = np.zeros(worlds)

    def plan(self, ledger: ReportLedger) -> PlanBatch:
        """Moves both loops by one hour and bids with the lower."""
        rate = compute_conversion_rate(ledger, self._model, self.params.prior_conversions)
        log_theta = np.minimum(self._pace(ledger), self._cpa_level)
        self._follow_cpa(ledger, rate, log_theta)
        self.theta = np.exp(log_theta)
        return make_theta_plan(self.theta, rate, ledger, self._model, self._objective.daily_budget)

    def _pace(self, ledger: ReportLedger) -> FloatArray:
        """The pacing loop: ln theta, float64 [worlds]."""
        spent_share = ledger.spend_today.sum(axis=1) / self._objective.daily_budget
        error = self._planned_share[ledger.hour_of_day] - spent_share
        change = error - self._error if ledger.hour_of_day else np.zeros_like(error)
        self._error = error
        ceiling = np.minimum(_LOG_THETA_BOUNDS[1], self._cpa_level + _LOOP_GAP)
        self._level = np.clip(self._level + self.params.integral * error, _LOG_THETA_BOUNDS[0], ceiling)
        return np.asarray(self._level + self.params.proportional * error + self.params.derivative * change)

    def _follow_cpa(self, ledger: ReportLedger, rate: FloatArray, log_theta: FloatArray) -> None:
        """Moves the CPA loop; it never runs away above the theta that is in force."""
        balance = compute_cpa_balance(ledger, rate, self._objective.cpa_target * self.params.cpa_margin)
        step = self.params.cpa_gain * np.clip(balance / self._objective.daily_budget, -1.0, 1.0)
        ceiling = np.minimum(_LOG_THETA_BOUNDS[1], np.maximum(log_theta, self._level) + _LOOP_GAP)
        self._cpa_level = np.clip(self._cpa_level - step, _LOG_THETA_BOUNDS[0], ceiling)

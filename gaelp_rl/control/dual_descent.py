"""Dual mirror descent on budget and CPA: two shadow prices, moved every hour.

The Lagrangian of "most conversions under a daily budget and a CPA target C" buys every click whose
marginal cost per conversion is below theta = (1 + mu C) / (lambda + mu). lambda, the price of the
budget, follows the hour's spend against the profile by multiplicative steps; mu, the price of the
CPA constraint, is the exponential of the constraint's balance so far (dual averaging).

Source: Balseiro, Lu, Mirrokni, "The best of many worlds: dual mirror descent for online allocation
problems", Operations Research 2023, arXiv 2011.10124; Balseiro et al., "A field guide for pacing
budget and ROS constraints", 2023, arXiv 2302.08530.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gaelp_rl.control.conversion_worth import compute_conversion_rate, compute_cpa_balance, make_theta_plan
from gaelp_rl.control.market_model import MarketModel
from gaelp_rl.control.spend_profile import (
    compute_planned_share_of_reports,
    make_optimal_profile,
    solve_prior_theta,
)
from gaelp_rl.domain.ledger import METRICS, ReportLedger
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import FloatArray

__all__ = ["DualDescent", "DualDescentParams"]

_SPEND = METRICS.index("spend")
_LOG_PRICE_BOUND = 12.0
_EXHAUSTED_SHARE = 0.98


@dataclass(frozen=True, slots=True)
class DualDescentParams:
    """What can be tuned; errors are shares of the daily budget.

    Attributes:
        budget_step: ln lambda per error of one hour's spend.
        cpa_step: ln mu per daily budget of spend above the CPA aim.
        initial_cpa_price: mu times the CPA aim before any report.
        cpa_margin: share of the CPA target that is aimed at.
        prior_conversions: weight of the prior conversion rate, in conversions.
    """

    budget_step: float = 1.5
    cpa_step: float = 4.0
    initial_cpa_price: float = 0.2
    cpa_margin: float = 0.92
    prior_conversions: float = 5.0


class DualDescent:
    """Dual mirror descent; see the module's text.

    Attributes:
        name: ``dual-descent``.
        theta: float64 [worlds]; marginal spend per conversion of the last plan, currency units.
        budget_price: float64 [worlds]; lambda, above 0, conversions per currency unit.
        cpa_price: float64 [worlds]; mu, above 0, likewise.
    """

    name = "dual-descent"

    def __init__(self, model: MarketModel, objective: Objective, params: DualDescentParams | None = None) -> None:
        self.params = params or DualDescentParams()
        self._model = model
        self._objective = objective
        self._cpa_aim = objective.cpa_target * self.params.cpa_margin
        self._profile = make_optimal_profile(model, objective.daily_budget)
        self._prior_log_price = -math.log(solve_prior_theta(model, objective.daily_budget))
        self.theta = self.budget_price = self.cpa_price = np.zeros(0)

    def reset(self, ledger: ReportLedger) -> None:
        """Starts from the prior median world's price of money."""
        self._log_budget_price = np.full(ledger.num_worlds, self._prior_log_price)

    def plan(self, ledger: ReportLedger) -> PlanBatch:
        """One step of both prices, then bids at their theta."""
        rate = compute_conversion_rate(ledger, self._model, self.params.prior_conversions)
        self._step_budget_price(ledger)
        self.budget_price = np.exp(self._log_budget_price)
        self.cpa_price = self._compute_cpa_price(ledger, rate)
        self.theta = (1.0 + self.cpa_price * self._cpa_aim) / (self.budget_price + self.cpa_price)
        return make_theta_plan(self.theta, rate, ledger, self._model, self._objective.daily_budget)

    def _step_budget_price(self, ledger: ReportLedger) -> None:
        """Multiplies lambda by exp(step * error); an exhausted budget says nothing about the price."""
        if ledger.hour == 0:
            return
        budget = self._objective.daily_budget
        planned = compute_planned_share_of_reports(self._profile, self._model.lag_hours, ledger.hour)
        error = ledger.last_hour[:, :, _SPEND].sum(axis=1) / budget - planned
        is_exhausted = ledger.spend_today.sum(axis=1) > _EXHAUSTED_SHARE * budget
        step = np.where(is_exhausted & (error < 0.0), 0.0, self.params.budget_step * error)
        self._log_budget_price = np.clip(self._log_budget_price + step, -_LOG_PRICE_BOUND, _LOG_PRICE_BOUND)

    def _compute_cpa_price(self, ledger: ReportLedger, rate: FloatArray) -> FloatArray:
        balance = compute_cpa_balance(ledger, rate, self._cpa_aim) / self._objective.daily_budget
        log_price = math.log(self.params.initial_cpa_price / self._cpa_aim) + self.params.cpa_step * balance
        return np.asarray(np.exp(np.clip(log_price, -_LOG_PRICE_BOUND, _LOG_PRICE_BOUND)))

"""The batched market: bid plans in, platform reports out, for many independent worlds at once."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.market.audience import AudienceState, make_audience, start_audience
from envs.market.delivery import deliver_hour
from envs.market.delivery_state import (
    DELAY_RING_HOURS,
    ROW_FIELDS,
    CellArrays,
    DeliveryParams,
    DeliveryState,
    make_cell_arrays,
    make_delivery_params,
    make_delivery_state,
)
from envs.market.exogenous import (
    CREATIVES,
    ExogenousParams,
    ExogenousState,
    MarketTables,
    advance_exogenous,
    make_exogenous_params,
    make_exogenous_state,
    make_tables,
    start_worlds,
)
from envs.market.outcome import Outcome, make_outcome
from envs.market.truth import TrueFactors, compute_true_factors
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.platform_rules import PLATFORM_RULES, make_reporting_profile
from gaelp_rl.domain.reports import FloatArray, IntArray, ReportBatch
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.errors import ConfigError, PlanError

__all__ = ["BatchedMarket"]

_CENSOR_LOW, _CENSOR_HIGH = 0.0999, 0.9001


class BatchedMarket:
    """Four channels over ``num_worlds`` worlds, at the family's fidelity.

    Attributes:
        family: the family that the worlds are drawn from.
        num_worlds: length of the leading axis of everything.
        profile: what the platforms report and how late.
        hour: hours since the worlds' start; the hour that the next plan is for.
    """

    def __init__(self, family: FamilyConfig, num_worlds: int) -> None:
        self.family = family
        self.num_worlds = num_worlds
        self.profile = make_reporting_profile()
        self.hour = 0
        self._tables = make_tables(family.calibration)
        self._exogenous_params = make_exogenous_params(family)
        self._delivery_params = make_delivery_params(family)
        self._exogenous = make_exogenous_state(num_worlds)
        self._delivery = make_delivery_state(num_worlds)
        self._cells = make_cell_arrays(num_worlds)
        self._by_auction = family.fidelity == "auction"
        audience_size = self._tables.audience_size if self._by_auction else np.zeros(NUM_CHANNELS)
        self._audience = make_audience(num_worlds, audience_size)
        self._delayed = np.array([PLATFORM_RULES[c].plan_delay_hours > 0 for c in CHANNELS])
        self._has_modifiers = np.array([PLATFORM_RULES[c].device_modifiers for c in CHANNELS])
        self._queued: PlanBatch | None = None

    @property
    def num_hours(self) -> int:
        """Hours that a world lives."""
        return self.family.days * 24

    def make_initial_plan(self) -> PlanBatch:
        """The plan that the account has been running: median bids, an even split."""
        shape = (self.num_worlds, NUM_CHANNELS)
        even = self.family.daily_budget_micros / MICROS / NUM_CHANNELS
        return PlanBatch.from_currency(np.broadcast_to(self._tables.price_median, shape), np.full(shape, even))

    def reset(self, keys: NDArray[np.uint64]) -> ReportBatch:
        """Starts new worlds under the initial plan.

        Args:
            keys: uint64 [worlds]; see ``noise.make_world_keys``.

        Returns:
            The empty report of hour 0.

        Raises:
            ConfigError: there are not ``num_worlds`` keys.
        """
        if keys.shape != (self.num_worlds,):
            msg = f"keys of shape {keys.shape} were given to a market of {self.num_worlds} worlds: one key per world"
            raise ConfigError(msg)
        self.hour = 0
        self._exogenous.key[:] = keys
        start_worlds(self._exogenous, self._exogenous_params, self._tables)
        self._delivery = make_delivery_state(self.num_worlds)
        start_audience(self._audience, keys)
        initial = self.make_initial_plan()
        self._queued = initial
        self._delivery.bid[:] = initial.bid_micros / MICROS
        self._delivery.budget[:] = initial.daily_budget_micros / MICROS
        return self._make_report(np.zeros((self.num_worlds, NUM_CHANNELS, ROW_FIELDS), dtype=np.int64))

    def step(self, plan: PlanBatch) -> tuple[ReportBatch, Outcome]:
        """Delivers one hour.

        Args:
            plan: the plan in force for hour ``self.hour``. Callers end a world at ``num_hours``; a
                market that is stepped on keeps delivering and reporting.

        Returns:
            What is reported at the start of the next hour, and what truly happened.

        Raises:
            PlanError: a bid, budget or modifier is negative or not finite, an array has the wrong
                shape, or ``reset`` was never called.
        """
        self._check_started()
        self._check_plan(plan)
        effective = self._delay_plan(plan)
        modifier = np.where(self._has_modifiers[None, :, None], effective.device_modifier, 1.0)
        outcome = make_outcome(self.num_worlds)
        rows = np.empty((self.num_worlds, NUM_CHANNELS, ROW_FIELDS), dtype=np.int64)
        _step_worlds(
            self.hour,
            effective.bid_micros / MICROS,
            effective.daily_budget_micros / MICROS,
            modifier,
            effective.active,
            self._exogenous,
            self._exogenous_params,
            self._delivery,
            self._delivery_params,
            self._tables,
            self._cells,
            outcome,
            self._by_auction,
            self._audience,
            rows,
        )
        self.hour += 1
        return self._make_report(rows), outcome

    def compute_response_curves(self) -> ResponseCurves:
        """The worlds' true curves from hour 0 to their end, by replaying the exogenous process.

        Raises:
            PlanError: ``reset`` was never called, so there are no worlds yet.
        """
        self._check_started()
        state = make_exogenous_state(self.num_worlds)
        state.key[:] = self._exogenous.key
        start_worlds(state, self._exogenous_params, self._tables)
        shape = (self.num_worlds, self.num_hours, NUM_CHANNELS * NUM_DEVICES)
        curves = ResponseCurves(
            click_volume=np.empty(shape),
            price_median=np.empty(shape),
            conversion_rate=np.empty(shape),
            sigma=np.repeat(self._tables.sigma, NUM_DEVICES),
            first_price=np.repeat(self._tables.first_price, NUM_DEVICES),
        )
        _record_curves(
            state,
            self._exogenous_params,
            self._tables,
            curves.click_volume,
            curves.price_median,
            curves.conversion_rate,
        )
        return curves

    def _check_started(self) -> None:
        if self._queued is None:
            msg = "the market has no worlds yet: call reset(keys) first"
            raise PlanError(msg)

    def compute_true_factors(self) -> TrueFactors:
        """The hidden factors behind hour ``self.hour``; for diagnosis, never for a policy."""
        return compute_true_factors(
            self.hour,
            self._exogenous,
            self._exogenous_params,
            self._delivery,
            self._delivery_params,
            self._tables,
        )

    def _check_plan(self, plan: PlanBatch) -> None:
        grid = (self.num_worlds, NUM_CHANNELS)
        for name, amounts, shape in (
            ("bid_micros", plan.bid_micros, grid),
            ("daily_budget_micros", plan.daily_budget_micros, grid),
            ("device_modifier", plan.device_modifier, (*grid, NUM_DEVICES)),
            ("active", plan.active, grid),
        ):
            if amounts.shape != shape:
                msg = f"{name} has shape {amounts.shape} in a market of {self.num_worlds} worlds: it must be {shape}"
                raise PlanError(msg)
            bad = ~np.isfinite(amounts) | (amounts < 0)
            if bad.any():
                where = tuple(int(i) for i in np.argwhere(bad)[0])
                culprit = f"{name} of world {where[0]}, {CHANNELS[where[1]]}"
                msg = f"{culprit} is {amounts[where]}: it must be finite and >= 0"
                raise PlanError(msg)

    def _delay_plan(self, plan: PlanBatch) -> PlanBatch:
        """What the platforms act on: slow platforms still follow the plan of an hour ago."""
        queued = self._queued or plan
        self._queued = PlanBatch(
            plan.bid_micros.copy(), plan.daily_budget_micros.copy(), plan.device_modifier.copy(), plan.active.copy()
        )
        slow = self._delayed[None, :]
        return PlanBatch(
            bid_micros=np.where(slow, queued.bid_micros, plan.bid_micros),
            daily_budget_micros=np.where(slow, queued.daily_budget_micros, plan.daily_budget_micros),
            device_modifier=np.where(slow[:, :, None], queued.device_modifier, plan.device_modifier),
            active=np.where(slow, queued.active, plan.active),
        )

    def _make_report(self, rows: IntArray) -> ReportBatch:
        conversions = self._delivery.arrivals[:, self.hour % DELAY_RING_HOURS].astype(np.float64)
        self._delivery.arrivals[:, self.hour % DELAY_RING_HOURS] = 0
        split: FloatArray = np.where(self.profile.device_split, 1.0, np.nan)[None, :, None]
        conversion_value = self.family.objective.conversion_value_micros
        share, lost_budget, lost_rank = self._publish_shares()
        return ReportBatch(
            hour=self.hour,
            impressions=rows[:, :, 0],
            clicks=rows[:, :, 1],
            spend_micros=rows[:, :, 2],
            conversions=conversions,
            conversion_value_micros=(conversions * conversion_value).astype(np.int64),
            device_impressions=split * rows[:, :, 3 : 3 + NUM_DEVICES],
            device_clicks=split * rows[:, :, 3 + NUM_DEVICES :],
            impression_share=share,
            lost_share_budget=lost_budget,
            lost_share_rank=lost_rank,
        )

    def _publish_shares(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Yesterday's impression shares where a platform publishes them now, censored as it does.

        NaN for a yesterday without eligible impressions, the day before the worlds' first included.
        """
        shares = np.full((3, self.num_worlds, NUM_CHANNELS), np.nan)
        for c, channel in enumerate(CHANNELS):
            if PLATFORM_RULES[channel].share_hour != self.hour % 24:
                continue
            eligible, won, lost = np.moveaxis(self._delivery.share_yesterday[:, c], -1, 0)
            eligible = np.where(eligible > 0.0, eligible, np.nan)
            shares[0, :, c] = np.maximum(won / eligible, _CENSOR_LOW)
            shares[1, :, c] = np.minimum(lost / eligible, _CENSOR_HIGH)
            shares[2, :, c] = np.minimum(np.maximum(1.0 - (won + lost) / eligible, 0.0), _CENSOR_HIGH)
        return shares[0], shares[1], shares[2]


@njit(cache=True)
def _step_worlds(
    hour: int,
    bid: FloatArray,
    budget: FloatArray,
    modifier: FloatArray,
    active: NDArray[np.bool_],
    exogenous: ExogenousState,
    exogenous_params: ExogenousParams,
    delivery: DeliveryState,
    delivery_params: DeliveryParams,
    tables: MarketTables,
    cells: CellArrays,
    outcome: Outcome,
    by_auction: bool,
    audience: AudienceState,
    rows: IntArray,
) -> None:
    """One hour of every world; ``rows`` receives each channel's newest reportable hour."""
    advance_exogenous(hour, exogenous, exogenous_params, tables)
    deliver_hour(
        hour,
        bid,
        budget,
        modifier,
        active,
        exogenous,
        delivery,
        delivery_params,
        tables,
        cells,
        outcome,
        by_auction,
        audience,
    )
    ring = delivery.rows.shape[1]
    for w in range(rows.shape[0]):
        for c in range(NUM_CHANNELS):
            reported = hour - delivery_params.lag_hours[c]
            for i in range(rows.shape[2]):
                rows[w, c, i] = delivery.rows[w, reported % ring, c, i] if reported >= 0 else 0


@njit(cache=True)
def _record_curves(
    state: ExogenousState,
    params: ExogenousParams,
    tables: MarketTables,
    click_volume: FloatArray,
    price_median: FloatArray,
    conversion_rate: FloatArray,
) -> None:
    for hour in range(click_volume.shape[1]):
        advance_exogenous(hour, state, params, tables)
        for w in range(click_volume.shape[0]):
            for c in range(NUM_CHANNELS):
                quality = 0.0
                for k in range(CREATIVES):
                    quality += state.creative_quality[w, c, k] / CREATIVES
                for d in range(NUM_DEVICES):
                    i = c * NUM_DEVICES + d
                    ctr = min(state.ctr[w, c] * tables.device_ctr[c, d] * quality, 0.95)
                    click_volume[w, hour, i] = state.hour_impressions[w, c] * tables.device_share[c, d] * ctr
                    price_median[w, hour, i] = state.hour_price[w, c] * tables.device_price[c, d]
                    conversion_rate[w, hour, i] = min(
                        state.hour_conversion[w, c] * state.device_conversion[w, c, d], 1.0
                    )

"""The batched market as a whole: batches, seeds, refusals, and the true response curves."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.config.market import FAMILIES
from gaelp_rl.domain.channels import NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.errors import ConfigError, PlanError
from tests.envs.market.worlds import META, MICROSOFT, TIKTOK, Step, make_plan, start

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

MEDIANS = STOCK.price_median


def sample_plans(rng: np.random.Generator, worlds: int, hours: int) -> list[PlanBatch]:
    """Plans that change in every hour and world, pauses included."""
    shape = (worlds, NUM_CHANNELS)
    return [
        PlanBatch.from_currency(
            MEDIANS * rng.uniform(0.0, 2.5, shape),
            rng.uniform(0.0, 300.0, shape),
            rng.uniform(0.5, 2.0, (*shape, NUM_DEVICES)),
            rng.random(shape) < 0.9,
        )
        for _ in range(hours)
    ]


def slice_plan(plan: PlanBatch, world: int) -> PlanBatch:
    return PlanBatch(*(getattr(plan, field.name)[world : world + 1] for field in fields(plan)))


def flatten(steps: list[Step]) -> dict[str, np.ndarray]:
    """Every array that the steps returned, [hours, worlds, ...]."""
    names = [field.name for field in fields(steps[0][0]) if field.name != "hour"]
    arrays = {name: np.array([getattr(report, name) for report, _ in steps]) for name in names}
    truth = {f"true_{name}": np.array([getattr(o, name) for _, o in steps]) for name in steps[0][1]._fields}
    return arrays | truth


@pytest.mark.parametrize("family", ["campaign", "shifted"])
def test_batch__gives_each_world_what_it_would_get_alone(family: str) -> None:
    worlds, hours = 5, 80
    plans = sample_plans(np.random.default_rng(1), worlds, hours)
    batch = start(FAMILIES[family], worlds, 20)
    together = flatten([batch.step(plan) for plan in plans])
    for world in range(worlds):
        single = start(FAMILIES[family], 1, 20 + world)
        alone = flatten([single.step(slice_plan(plan, world)) for plan in plans])
        for name, array in alone.items():
            assert np.array_equal(array[:, 0], together[name][:, world], equal_nan=True), name


def test_seed__gives_the_same_episode_again_and_another_seed_another_one() -> None:
    plans = sample_plans(np.random.default_rng(2), 3, 60)
    first, again, other = start(FAMILIES["campaign"], 3), start(FAMILIES["campaign"], 3), None
    once = flatten([first.step(plan) for plan in plans])
    twice = flatten([again.step(plan) for plan in plans])
    first.reset(make_world_keys("train", 0, 3))
    reused = flatten([first.step(plan) for plan in plans])
    other = start(FAMILIES["campaign"], 3, 3)
    different = flatten([other.step(plan) for plan in plans])
    for name, array in once.items():
        assert np.array_equal(array, twice[name], equal_nan=True), name
        assert np.array_equal(array, reused[name], equal_nan=True), name
    for world in range(3):
        assert not np.array_equal(once["clicks"][:, world], different["clicks"][:, world])
        assert not np.array_equal(once["clicks"][:, world], once["clicks"][:, (world + 1) % 3])


def test_reports__are_not_rewritten_by_later_hours() -> None:
    market = start(FAMILIES["campaign"], 2)
    plan = make_plan(2, MEDIANS, 125.0)
    steps = [market.step(plan) for _ in range(30)]
    before = flatten(steps)
    copies = {name: array.copy() for name, array in before.items()}
    for _ in range(30):
        market.step(plan)
    assert all(np.array_equal(array, copies[name], equal_nan=True) for name, array in flatten(steps).items())


def test_plan__may_be_overwritten_by_its_maker_after_the_step() -> None:
    """Microsoft acts on it an hour later, by which time a planner may have reused its arrays."""
    kept, overwritten = start(FAMILIES["campaign"], 1), start(FAMILIES["campaign"], 1)
    plan = make_plan(1, MEDIANS * 2.0, 125.0)
    for _ in range(10):
        expected = kept.step(make_plan(1, MEDIANS * 2.0, 125.0))[1]
        plan.bid_micros[:] = make_plan(1, MEDIANS * 2.0).bid_micros
        plan.active[:] = True
        outcome = overwritten.step(plan)[1]
        plan.bid_micros[:] = 0
        plan.active[:] = False
        assert outcome.clicks[0, MICROSOFT] == expected.clicks[0, MICROSOFT]


@pytest.mark.parametrize("attempt", range(2))
def test_step__before_reset_is_refused_however_often(attempt: int) -> None:
    market = BatchedMarket(FAMILIES["mild"], 2)
    for _ in range(attempt + 1):
        with pytest.raises(PlanError, match=r"no worlds yet: call reset\(keys\) first"):
            market.step(make_plan(2, MEDIANS))
    with pytest.raises(PlanError, match="no worlds yet"):
        market.compute_response_curves()


def test_reset__wants_one_key_per_world() -> None:
    with pytest.raises(ConfigError, match=r"keys of shape \(1,\) were given to a market of 4 worlds"):
        BatchedMarket(FAMILIES["mild"], 4).reset(make_world_keys("train", 0, 1))


@pytest.mark.parametrize(
    ("field", "bad", "message"),
    [
        ("bid_micros", -1, "bid_micros of world 1, meta is -1: it must be finite and >= 0"),
        ("daily_budget_micros", -5, "daily_budget_micros of world 1, meta is -5"),
        ("device_modifier", np.nan, "device_modifier of world 1, meta is nan"),
        ("device_modifier", np.inf, "device_modifier of world 1, meta is inf"),
    ],
)
def test_plan__that_cannot_be_carried_out_is_refused_by_name(field: str, bad: float, message: str) -> None:
    market, plan = start(FAMILIES["mild"], 2), make_plan(2, MEDIANS)
    getattr(plan, field)[1, META] = bad
    with pytest.raises(PlanError, match=message):
        market.step(plan)
    assert market.hour == 0


def test_plan__for_other_worlds_or_of_another_shape_is_refused() -> None:
    market = start(FAMILIES["mild"], 2)
    with pytest.raises(PlanError, match=r"bid_micros has shape \(3, 4\) in a market of 2 worlds: it must be \(2, 4\)"):
        market.step(make_plan(3, MEDIANS))
    with pytest.raises(PlanError, match=r"active has shape \(1, 4\)"):
        market.step(replace(make_plan(2, MEDIANS), active=np.ones((1, 4), dtype=np.bool_)))


def test_initial_plan__is_no_edit() -> None:
    market = start(FAMILIES["campaign"], 2)
    _, outcome = market.step(market.make_initial_plan())
    assert not outcome.edits.any()
    assert not outcome.learning.any()


@pytest.mark.parametrize("family", ["campaign", "shifted", "wide"])
def test_curves__are_what_delivery_used_whatever_the_plan(family: str) -> None:
    """Live demand, prices and rates of every cell under erratic plans, fatigue and learning switched off."""
    calm = FAMILIES[family].model_copy(
        update={
            "fatigue_per_exposure": 0.0,
            "learning_price_factor": 1.0,
            "learning_conversion_factor": 1.0,
            "days": 16,
        }
    )
    worlds = 4
    market = start(calm, worlds, 50)
    curves = market.compute_response_curves()
    rng = np.random.default_rng(3)
    for hour, plan in enumerate(sample_plans(rng, worlds, 16 * 24)):
        _, outcome = market.step(plan)
        live, cells = market._exogenous, market._cells
        demand = live.hour_impressions[:, :, None] * market._tables.device_share
        volume = demand.reshape(worlds, -1) * cells.ctr
        assert curves.click_volume[:, hour] == pytest.approx(volume, rel=1e-12)
        assert curves.price_median[:, hour] == pytest.approx(cells.median, rel=1e-12)
        expected = (cells.clicks * curves.conversion_rate[:, hour]).reshape(worlds, NUM_CHANNELS, -1).sum(axis=2)
        assert outcome.expected_conversions == pytest.approx(expected, rel=1e-12)
        assert cells.impressions * cells.ctr == pytest.approx(volume * cells.share, rel=1e-12)


def test_curves__are_at_least_as_favourable_as_a_worn_and_learning_market() -> None:
    worlds = 8
    market = start(FAMILIES["shifted"], worlds)
    curves = market.compute_response_curves()
    worn = 0
    for hour, plan in enumerate(sample_plans(np.random.default_rng(4), worlds, 120)):
        _, outcome = market.step(plan)
        live, cells = market._exogenous, market._cells
        volume = (live.hour_impressions[:, :, None] * market._tables.device_share).reshape(worlds, -1) * cells.ctr
        assert (volume <= curves.click_volume[:, hour] * (1.0 + 1e-12)).all()
        assert (cells.median >= curves.price_median[:, hour] * (1.0 - 1e-12)).all()
        best = (cells.clicks * curves.conversion_rate[:, hour]).reshape(worlds, NUM_CHANNELS, -1).sum(axis=2)
        assert (outcome.expected_conversions <= best * (1.0 + 1e-12)).all()
        worn += int((volume < 0.99 * curves.click_volume[:, hour])[:, TIKTOK * NUM_DEVICES].sum())
    assert worn > 0


def test_curves__do_not_disturb_the_market() -> None:
    plan = make_plan(2, MEDIANS, 125.0)
    asked, plain = start(FAMILIES["campaign"], 2), start(FAMILIES["campaign"], 2)
    for hour in range(40):
        if hour % 7 == 0:
            asked.compute_response_curves()
        assert (asked.step(plan)[1].clicks == plain.step(plan)[1].clicks).all()

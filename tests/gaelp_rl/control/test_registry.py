"""What every comparator owes the comparison: it reads reports, nothing else, world by world."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.simulation import simulate_planner
from gaelp_rl.config.market import load_family
from gaelp_rl.control.planner import Planner
from gaelp_rl.control.registry import COMPARATORS, make_comparator
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.reports import ReportBatch
from gaelp_rl.errors import ConfigError, UnknownReferenceError
from gaelp_rl.evaluation.hindsight import compute_hindsight_optimum
from gaelp_rl.evaluation.statistics import compute_iqm
from tests.gaelp_rl.control.accounts import make_ledger, play, sample_reports

FAMILY = load_family("campaign")
NAMES = sorted(COMPARATORS)


def check_equal(plan: PlanBatch, other: PlanBatch) -> None:
    for field in dataclasses.fields(PlanBatch):
        np.testing.assert_array_equal(getattr(plan, field.name), getattr(other, field.name))


def select_worlds(batch: ReportBatch, worlds: np.ndarray) -> ReportBatch:
    arrays = {
        field.name: getattr(batch, field.name)[worlds] for field in dataclasses.fields(batch) if field.name != "hour"
    }
    return dataclasses.replace(batch, **arrays)


@pytest.mark.parametrize("name", NAMES)
def test_make_comparator__makes_a_planner_of_that_name(name: str) -> None:
    planner = make_comparator(name, FAMILY)
    assert isinstance(planner, Planner)
    assert planner.name == name


@pytest.mark.parametrize("name", NAMES)
def test_comparators__same_reports_same_plans(name: str) -> None:
    """Two objects, and one object that is reset: no hidden state, no randomness."""
    reports = sample_reports(np.random.default_rng(3), 4, 50)
    planner = make_comparator(name, FAMILY)
    first = play(planner, make_ledger(4), reports)
    again = play(planner, make_ledger(4), reports)
    other = play(make_comparator(name, FAMILY), make_ledger(4), reports)
    for plan, repeated, independent in zip(first, again, other, strict=True):
        check_equal(plan, repeated)
        check_equal(plan, independent)


@pytest.mark.parametrize("name", NAMES)
def test_comparators__permuting_worlds_permutes_plans(name: str) -> None:
    """A world's plan depends on that world's reports alone."""
    order = np.array([3, 1, 4, 0, 2])
    reports = sample_reports(np.random.default_rng(4), 5, 30)
    plan = play(make_comparator(name, FAMILY), make_ledger(5), reports)[-1]
    permuted = play(make_comparator(name, FAMILY), make_ledger(5), [select_worlds(batch, order) for batch in reports])[
        -1
    ]
    np.testing.assert_array_equal(permuted.bid_micros, plan.bid_micros[order])
    np.testing.assert_array_equal(permuted.daily_budget_micros, plan.daily_budget_micros[order])


@pytest.mark.parametrize("name", NAMES)
def test_comparators__leave_the_ledger_as_it_was(name: str) -> None:
    ledger = make_ledger(3)
    planner = make_comparator(name, FAMILY)
    play(planner, ledger, sample_reports(np.random.default_rng(5), 3, 13))
    before = copy.deepcopy({key: entry for key, entry in vars(ledger).items() if isinstance(entry, np.ndarray)})
    planner.plan(ledger)
    for key, array in before.items():
        np.testing.assert_array_equal(getattr(ledger, key), array)


@pytest.mark.parametrize("name", NAMES)
def test_comparators__plans_can_be_carried_out(name: str) -> None:
    """Finite, a bid of a cent or more, and no channel may spend more than twice the account's budget."""
    for plan in play(make_comparator(name, FAMILY), make_ledger(3), sample_reports(np.random.default_rng(6), 3, 40)):
        assert (plan.bid_micros >= 10_000).all()
        assert (plan.daily_budget_micros >= 0).all()
        assert (plan.daily_budget_micros <= 2 * FAMILY.daily_budget_micros).all()
        assert np.isfinite(plan.device_modifier).all()


def test_make_comparator__names_the_nearest() -> None:
    with pytest.raises(UnknownReferenceError, match=r"'dual-decent' does not exist\. Did you mean 'dual-descent'"):
        make_comparator("dual-decent", FAMILY)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bid_ration": 1.0}, "has no parameter 'bid_ration'. Did you mean 'bid_ratio'"),
        ({"budget_weights": (1.0, 1.0)}, "holds 2 numbers; it must hold 4"),
        ({"bid_ratio": float("nan")}, "must be finite"),
        ({"bid_ratio": (1.0,)}, "is a list; it must be a number"),
        ({"budget_weights": 1.0}, "is a number; it must be a list"),
    ],
)
def test_make_comparator__refuses_unusable_parameters(params: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_comparator("fixed-bids", FAMILY, params)


def test_make_comparator__parameters_reach_the_planner() -> None:
    assert make_comparator("dual-descent", FAMILY, {"cpa_margin": 0.8}).params.cpa_margin == 0.8  # type: ignore[attr-defined]


@pytest.mark.integration
def test_comparators__are_separated_by_the_market() -> None:
    """A market on which an even split does as well as a controller would be no benchmark."""
    keys = make_world_keys("validation", 0, 64)
    market = BatchedMarket(FAMILY, 64)
    market.reset(keys)
    optimum = compute_hindsight_optimum(market.compute_response_curves(), FAMILY.objective).expected_conversions
    iqm = {}
    for name in NAMES:
        books = simulate_planner(make_comparator(name, FAMILY), FAMILY, keys)
        iqm[name] = float(compute_iqm(books.expected_conversions.sum(axis=(1, 2)) / optimum))
        assert books.spend_micros.sum(axis=2).max() <= FAMILY.daily_budget_micros
    assert iqm["reference"] > max(iqm["dual-descent"], iqm["pid-profile"])
    assert min(iqm["dual-descent"], iqm["pid-profile"]) > iqm["pid-uniform"] > iqm["static-dayparts"]
    assert iqm["static-dayparts"] > max(iqm["fixed-bids"], iqm["even-split"])
    assert max(iqm.values()) < 1.0

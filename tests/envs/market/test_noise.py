"""The market's noise against an independent generator, scipy's distributions and its own promises."""

from __future__ import annotations

import inspect
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher
from scipy import special, stats

from envs.market import delivery, exogenous, market, noise
from envs.market.noise import (
    SLOTS_PER_HOUR,
    compute_inverse_normal,
    derive_next_keys,
    make_world_keys,
    sample_binomial,
    sample_normal,
    sample_poisson,
    sample_uniform,
    transform_to_normal,
)
from gaelp_rl.errors import ConfigError
from tests.envs.market.worlds import make_flat_family, make_plan, start

KEYS = st.integers(0, 2**64 - 1)
HOURS = st.integers(0, 1_000_000)
SLOTS = st.integers(0, SLOTS_PER_HOUR - 1)
UNIFORMS = st.floats(1e-9, 1 - 1e-9)


def splitmix64(key: int, hour: int, slot: int) -> float:
    """Steele, Lea and Flood's generator on Python integers: state key, the counter-th output."""
    mask = 2**64 - 1
    z = (key + (hour * SLOTS_PER_HOUR + slot + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (((z ^ (z >> 31)) >> 12) + 0.5) / 2**52


@given(KEYS, HOURS, SLOTS)
def test_uniform__is_splitmix64_inside_the_open_interval(key: int, hour: int, slot: int) -> None:
    drawn = sample_uniform(np.uint64(key), hour, slot)
    assert drawn == splitmix64(key, hour, slot)
    assert 0.0 < drawn < 1.0


def test_uniform__is_uniform_over_slots_hours_and_worlds() -> None:
    keys = make_world_keys("train", 0, 20)
    drawn = np.array([[[sample_uniform(k, h, s) for s in range(20)] for h in range(50)] for k in keys])
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-3
    for axis in range(3):
        ahead, behind = np.delete(drawn, 0, axis).ravel(), np.delete(drawn, -1, axis).ravel()
        assert abs(np.corrcoef(ahead, behind)[0, 1]) < 4.0 / np.sqrt(ahead.size)


def test_normal__is_the_quantile_of_the_uniform() -> None:
    key = np.uint64(7)
    assert sample_normal(key, 3, 5) == compute_inverse_normal(sample_uniform(key, 3, 5))


@given(st.one_of(st.floats(1e-300, 0.5), st.floats(0.5, 1 - 2**-53)))
def test_inverse_normal__equals_scipy_to_acklams_error(p: float) -> None:
    """Acklam states a relative error of 1.15e-9."""
    assert compute_inverse_normal(p) == pytest.approx(special.ndtri(p), rel=1.2e-9, abs=1e-12)


@given(st.floats(1e-3, 15.999), UNIFORMS)
def test_poisson__below_16_is_the_exact_quantile(mean: float, uniform: float) -> None:
    count = sample_poisson(mean, uniform)
    assert stats.poisson.cdf(count - 1, mean) - 1e-12 < uniform <= stats.poisson.cdf(count, mean) + 1e-12


@given(st.floats(16.0, 5000.0), UNIFORMS)
def test_poisson__above_16_is_within_one_of_the_quantile(mean: float, uniform: float) -> None:
    assert abs(sample_poisson(mean, uniform) - stats.poisson.ppf(uniform, mean)) <= 1


@pytest.mark.parametrize("mean", [0.05, 1.0, 7.0, 16.0, 40.0, 900.0])
def test_poisson__has_mean_and_variance_of_its_mean(mean: float) -> None:
    """On an even grid of uniforms the moments are those of the law, up to the grid's own error."""
    grid = (np.arange(20_000) + 0.5) / 20_000
    counts = np.array([sample_poisson(mean, u) for u in grid])
    assert counts.mean() == pytest.approx(mean, rel=2e-3)
    assert counts.var() == pytest.approx(mean, rel=4e-3)
    assert (counts != stats.poisson.ppf(grid, mean)).mean() < 3e-4


@given(st.floats(0.0, 200.0), st.floats(1e-6, 20.0), UNIFORMS)
def test_poisson__grows_with_its_mean_under_the_same_uniform(mean: float, more: float, uniform: float) -> None:
    """Exact but for one count where the mean crosses from inversion to expansion at 16."""
    crosses = mean < 16.0 <= mean + more
    assert sample_poisson(mean + more, uniform) >= sample_poisson(mean, uniform) - crosses


@given(st.integers(1, 400), st.floats(1e-4, 0.5), UNIFORMS)
def test_binomial__is_the_quantile_and_within_one_above_16(trials: int, share: float, uniform: float) -> None:
    count = sample_binomial(trials, share, uniform)
    if trials * share < 16.0:
        assert stats.binom.cdf(count - 1, trials, share) - 1e-10 < uniform
        assert uniform <= stats.binom.cdf(count, trials, share) + 1e-10
    else:
        assert abs(count - stats.binom.ppf(uniform, trials, share)) <= 1


@given(st.integers(1, 400), st.floats(0.5, 1.0), UNIFORMS)
def test_binomial__never_exceeds_its_trials(trials: int, share: float, uniform: float) -> None:
    assert 0 <= sample_binomial(trials, share, uniform) <= trials
    assert sample_binomial(trials, 1.0, uniform) == trials


@pytest.mark.parametrize(("trials", "share"), [(3, 0.05), (40, 0.2), (100, 0.02), (400, 0.1), (60, 0.5)])
def test_binomial__has_the_laws_moments(trials: int, share: float) -> None:
    counts = np.array([sample_binomial(trials, share, u) for u in (np.arange(20_000) + 0.5) / 20_000])
    assert counts.mean() == pytest.approx(trials * share, rel=2e-3)
    assert counts.var() == pytest.approx(trials * share * (1.0 - share), rel=1.5e-2)


@given(st.integers(0, 60), st.integers(0, 20), st.floats(1e-3, 0.15), UNIFORMS)
def test_binomial__more_clicks_never_convert_less(trials: int, more: int, share: float, uniform: float) -> None:
    assert sample_binomial(trials + more, share, uniform) >= sample_binomial(trials, share, uniform)


@pytest.mark.parametrize("mean", [0.0, -1.0])
def test_counts__without_demand_are_zero(mean: float) -> None:
    assert sample_poisson(mean, 0.99) == 0
    assert sample_binomial(10, mean, 0.99) == 0
    assert sample_binomial(0, 0.5, 0.99) == 0


def test_world_keys__of_the_splits_are_disjoint() -> None:
    keys = np.concatenate([make_world_keys(split, 0, 3000) for split in ("train", "validation", "test")])
    assert np.unique(keys).size == 9000


def test_world_keys__depend_on_the_seed_not_on_the_batch() -> None:
    batch = make_world_keys("test", 10, 4)
    assert batch.tolist() == [int(make_world_keys("test", 10 + i, 1)[0]) for i in range(4)]


def test_world_keys__of_an_unknown_split_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'validate' does not exist\. Did you mean 'validation'"):
        make_world_keys("validate", 0, 1)


def test_world_keys__refuse_a_negative_seed() -> None:
    with pytest.raises(ConfigError, match="first seed is -1"):
        make_world_keys("train", -1, 1)


def test_next_keys__are_new_worlds_and_always_the_same_ones() -> None:
    keys = make_world_keys("train", 0, 1000)
    following = derive_next_keys(keys)
    assert np.unique(np.concatenate([keys, following, derive_next_keys(following)])).size == 3000
    assert (following == derive_next_keys(keys)).all()


def interpret(module: ModuleType, patch: pytest.MonkeyPatch) -> None:
    """Replaces the module's compiled functions by their Python source."""
    for name, member in inspect.getmembers(module):
        if isinstance(member, Dispatcher) and member.py_func.__module__ != noise.__name__:
            patch.setattr(module, name, member.py_func)


def test_slots__no_draw_of_an_hour_is_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels run as Python with a recorder for a generator, and end where the compiled ones do."""
    family = make_flat_family(shock_rate_per_day=1.0, creative_life_days=1, conversion_factor=3.0, days=3)
    plan = make_plan(1, (9.0, 4.0, 2.0, 7.0))
    compiled = start(family)
    expected = [compiled.step(plan)[1] for _ in range(30)]
    drawn: list[tuple[int, int]] = []

    def record(key: np.uint64, hour: int, slot: int) -> float:
        drawn.append((hour, slot))
        return sample_uniform(key, hour, slot)

    for module in (exogenous, delivery, market):
        interpret(module, monkeypatch)
        monkeypatch.setattr(module, "sample_uniform", record, raising=False)
        monkeypatch.setattr(
            module, "sample_normal", lambda *place: compute_inverse_normal(record(*place)), raising=False
        )
    interpreted = start(family)
    for outcome in expected:
        assert [a.tolist() for a in interpreted.step(plan)[1]] == [a.tolist() for a in outcome]
    assert len(drawn) > 1500
    assert len(set(drawn)) == len(drawn)
    assert max(slot for _, slot in drawn) < SLOTS_PER_HOUR


def test_transform_to_normal__is_the_scalar_function_to_the_last_bit() -> None:
    """Tails, their borders and the centre; a batch draws what its members would draw alone."""
    tail = 0.02425
    borders = [tail, np.nextafter(tail, 0.0), np.nextafter(tail, 1.0), 1.0 - tail, np.nextafter(1.0 - tail, 1.0)]
    uniforms = np.array([*borders, 1e-300, 1.0 - 1e-16, 0.5, *np.random.default_rng(1).random(10_000)])
    normals = np.empty_like(uniforms)
    transform_to_normal(uniforms, normals)
    assert normals.tolist() == [compute_inverse_normal(u) for u in uniforms]

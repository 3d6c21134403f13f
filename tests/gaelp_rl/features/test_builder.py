"""The builder against a slow one that computes every feature by its name, one world at a time."""

from __future__ import annotations

import ast
import inspect
import math
import types
import typing
from collections.abc import Iterator

import numpy as np
import pytest

from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from envs.market.simulation import make_ledger as make_ledger_of_market
from gaelp_rl.config.market import load_family
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.ledger import METRICS, ReportLedger
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.reports import ReportBatch
from gaelp_rl.errors import SchemaError
from gaelp_rl.features import builder
from gaelp_rl.features.builder import build_observation
from gaelp_rl.features.catalogue import NUM_CONTROLLER_FEATURES, OBSERVATION_SCHEMA

OBJECTIVE = Objective(daily_budget_micros=400 * MICROS, cpa_target_micros=60 * MICROS)


def _ratio(events: float, expected: float, pseudo: float) -> float:
    return math.log((events + pseudo) / (expected + pseudo))


def _figures(sums: np.ndarray, w: int, c: int) -> dict[str, float]:
    return dict(zip(METRICS, sums[w, c].tolist(), strict=True))


def _channel_by_hand(ledger: ReportLedger, priors, w: int, c: int) -> dict[str, float]:
    """Every feature of one channel by name, from its definition in words."""
    features: dict[str, float] = {}
    for days, sums in ((7, ledger.sum_7d), (28, ledger.sum_28d)):
        f = _figures(sums, w, c)
        cpc = _ratio(f["spend"] / priors.cpc[c], f["clicks"], 5)
        cvr = _ratio(f["conversions"], f["exposure"] * priors.conversion_rate[c], 2)
        features |= {
            f"ctr_{days}d_log_ratio": _ratio(f["clicks"], f["impressions"] * priors.ctr[c], 5),
            f"cpc_{days}d_log_ratio": cpc,
            f"cvr_{days}d_log_ratio": cvr,
            f"cpa_{days}d_log_ratio": cpc - cvr,
        }
    for name in ("clicks", "conversions"):
        features[f"{name}_28d_evidence"] = math.log1p(_figures(ledger.sum_28d, w, c)[name]) / 5
    for period, sums in (("last_hour", ledger.last_hour), ("today", ledger.today)):
        for name in ("impressions", "clicks", "spend", "conversions"):
            features[f"{name}_{period}"] = math.log1p(_figures(sums, w, c)[name]) / 5
    known = not math.isnan(ledger.impression_share[w, c])
    features |= {
        "impression_share": float(ledger.impression_share[w, c]) if known else 0.5,
        "lost_share_budget": float(ledger.lost_share_budget[w, c]) if known else 0.0,
        "lost_share_rank": float(ledger.lost_share_rank[w, c]) if known else 0.0,
        "impression_share_age": ledger.share_age_hours[w, c] / 48 if known else 1.0,
        "impression_share_known": float(known),
    }
    used = _figures(ledger.today, w, c)["spend"] / ledger.daily_budget[w, c] if ledger.daily_budget[w, c] else None
    elapsed = max(ledger.hour_of_day - ledger.profile.lag_hours[c], 0) / 24
    features["budget_utilisation_today"] = used or 0.0
    features["pacing_error_today"] = 0.0 if used is None else used - elapsed
    features |= _devices_by_hand(ledger, priors, w, c)
    features |= {
        "bid_log_ratio": math.log(ledger.bid[w, c] / priors.cpc[c]) if ledger.bid[w, c] else -3.0,
        "budget_share": ledger.daily_budget[w, c] / 400,
        "active": float(ledger.active[w, c]),
        "data_age": ledger.profile.lag_hours[c] / 24,
    }
    return features


def _devices_by_hand(ledger: ReportLedger, priors, w: int, c: int) -> dict[str, float]:
    if not ledger.profile.device_split[c]:
        return {"mobile_to_desktop_ctr_log_ratio": 0.0, "device_split_known": 0.0}
    clicks, impressions = ledger.device_clicks[w, c], ledger.device_impressions[w, c]
    pooled = (clicks.sum() + 5) / (impressions.sum() + 5 / priors.ctr[c])
    mobile, desktop = (_ratio(clicks[d], impressions[d] * pooled, 5) for d in (0, 1))
    return {"mobile_to_desktop_ctr_log_ratio": mobile - desktop, "device_split_known": 1.0}


def _account_by_hand(ledger: ReportLedger, priors, w: int) -> dict[str, float]:
    hour, weekday = 2 * math.pi * ledger.hour_of_day / 24, 2 * math.pi * (ledger.day % 7) / 7
    spent = sum(_figures(ledger.today, w, c)["spend"] for c in range(4)) / 400
    elapsed = [max(ledger.hour_of_day - lag, 0) / 24 for lag in ledger.profile.lag_hours]
    budgets = ledger.daily_budget[w]
    pace = float(np.average(elapsed, weights=budgets)) if budgets.sum() else ledger.hour_of_day / 24
    features = {
        "hour_sin": math.sin(hour),
        "hour_cos": math.cos(hour),
        "weekday_sin": math.sin(weekday),
        "weekday_cos": math.cos(weekday),
        "day_left": 1 - ledger.hour_of_day / 24,
        "budget_left_today": 1 - spent,
        "pacing_error_today": spent - pace,
        "history_filled": min(max(ledger.day, 0) / 28, 1),
    }
    for days, sums in ((7, ledger.sum_7d), (28, ledger.sum_28d)):
        spend, matured = 0.0, 0.0
        for c in range(4):
            f, prior = _figures(sums, w, c), priors.conversion_rate[c]
            spend += f["spend"]
            matured += f["clicks"] * prior * (f["conversions"] + 2) / (f["exposure"] * prior + 2)
        features[f"cpa_target_to_cpa_{days}d_log_ratio"] = _ratio(matured, spend / 60, 2)
    return features


def _build_by_hand(ledger: ReportLedger, priors) -> np.ndarray:
    rows = []
    for w in range(ledger.num_worlds):
        named = {f"global.{name}": entry for name, entry in _account_by_hand(ledger, priors, w).items()}
        for c, channel in enumerate(CHANNELS):
            named |= {f"{channel}.{name}": entry for name, entry in _channel_by_hand(ledger, priors, w, c).items()}
        base = OBSERVATION_SCHEMA.features[:-NUM_CONTROLLER_FEATURES]
        assert set(named) == {feature.name for feature in base}
        rows.append([min(max(named[f.name], f.low), f.high) for f in base] + [0.0] * NUM_CONTROLLER_FEATURES)
    return np.array(rows)


@pytest.mark.parametrize(("hours", "volume"), [(0, 300.0), (1, 0.3), (7, 5.0), (24, 300.0), (31, 300.0), (700, 3000.0)])
def test_build_observation__equals_every_feature_by_name(make_ledger, priors, hours, volume) -> None:
    ledger = make_ledger(hours=hours, volume=volume)
    built = build_observation(ledger, OBJECTIVE, priors)
    assert built.dtype == np.float32
    np.testing.assert_allclose(built, _build_by_hand(ledger, priors), atol=2e-6)


def test_build_observation__without_data_every_rate_is_its_prior(make_ledger, priors) -> None:
    built = build_observation(make_ledger(), OBJECTIVE, priors)
    rates = [i for i, name in enumerate(OBSERVATION_SCHEMA.names) if name.endswith(("7d_log_ratio", "28d_log_ratio"))]
    assert len(rates) == 4 * 8 + 2
    assert (built[:, rates] == 0.0).all()


def test_build_observation__tells_one_of_ten_from_a_hundred_of_a_thousand(make_ledger, priors) -> None:
    """CVR of twice the prior (0.06): 2 * 5 / 0.06 exposure against 2,000 of it."""
    ledger = make_ledger(worlds=2)
    clicks, conversions, exposure = (METRICS.index(name) for name in ("clicks", "conversions", "exposure"))
    for world, exposed in enumerate((10.0, 1000.0)):
        ledger.sum_28d[world, 0, [clicks, exposure]] = exposed
        ledger.sum_28d[world, 0, conversions] = 0.12 * exposed
    built = build_observation(ledger, OBJECTIVE, priors)
    log_ratio = built[:, OBSERVATION_SCHEMA.index("google.cvr_28d_log_ratio")]
    evidence = built[:, OBSERVATION_SCHEMA.index("google.conversions_28d_evidence")]
    assert log_ratio == pytest.approx([math.log(3.2 / 2.6), math.log(122 / 62)], rel=1e-5)
    assert evidence == pytest.approx([math.log1p(1.2) / 5, math.log1p(120.0) / 5], rel=1e-5)


def test_build_observation__stays_finite_and_in_range_whatever_the_ledger_holds(make_ledger, priors) -> None:
    """Restated sums can dip below 0, and a broken figure must not reach the network."""
    rng = np.random.default_rng(3)
    ledger = make_ledger(worlds=200, hours=30)
    for name, array in vars(ledger).items():
        if isinstance(array, np.ndarray) and array.dtype == np.float64 and not name.startswith("_"):
            wild = rng.choice([0.0, -50.0, 1e12, -1e12, 1e-12, np.nan, np.inf, -np.inf], array.shape)
            array[...] = np.where(rng.random(array.shape) < 0.3, wild, array)
    built = build_observation(ledger, OBJECTIVE, priors)
    OBSERVATION_SCHEMA.check(built)
    assert (built >= OBSERVATION_SCHEMA.low).all()
    assert (built <= OBSERVATION_SCHEMA.high).all()


def test_build_observation__worlds_do_not_mix(make_ledger, priors) -> None:
    """A world's observation is the same alone and in any batch; so training and live see one thing."""
    ledger = make_ledger(worlds=7, hours=50)
    together = build_observation(ledger, OBJECTIVE, priors)
    for name, array in vars(ledger).items():
        if isinstance(array, np.ndarray) and name != "days" and array.shape[:1] == (7,):
            setattr(ledger, name, array[::-1].copy())
    np.testing.assert_array_equal(build_observation(ledger, OBJECTIVE, priors), together[::-1])


def test_build_observation__appends_and_clips_controller_features(make_ledger, priors) -> None:
    extra = np.linspace(-5.0, 5.0, 5 * NUM_CONTROLLER_FEATURES).reshape(5, NUM_CONTROLLER_FEATURES)
    out = np.full((5, OBSERVATION_SCHEMA.size), np.nan, dtype=np.float32)
    built = build_observation(make_ledger(), OBJECTIVE, priors, extra, out)
    assert built is out
    low, high = OBSERVATION_SCHEMA.low[-NUM_CONTROLLER_FEATURES:], OBSERVATION_SCHEMA.high[-NUM_CONTROLLER_FEATURES:]
    np.testing.assert_allclose(built[:, -NUM_CONTROLLER_FEATURES:], np.clip(extra, low, high), rtol=1e-6)


def test_build_observation__refuses_what_does_not_fit(make_ledger, priors) -> None:
    ledger = make_ledger()
    with pytest.raises(SchemaError, match=r"controller features of shape \(5, 3\)"):
        build_observation(ledger, OBJECTIVE, priors, np.zeros((5, 3)))
    broken = np.zeros((5, NUM_CONTROLLER_FEATURES))
    broken[3, 1] = np.nan
    with pytest.raises(SchemaError, match=r"'google.reference.conversion_log_sd' of world 3 is nan"):
        build_observation(ledger, OBJECTIVE, priors, broken)
    for out in (np.empty((4, 154), np.float32), np.empty((5, 154)), np.empty((154, 5), np.float32).T):
        with pytest.raises(SchemaError, match="contiguous float32"):
            build_observation(ledger, OBJECTIVE, priors, out=out)


def _walk_types(hint: object, seen: set[object]) -> Iterator[type]:
    """Every class that is reachable from a type hint: arguments, attributes, method parameters."""
    for argument in typing.get_args(hint):
        yield from _walk_types(argument, seen)
    hint = typing.get_origin(hint) or hint
    if isinstance(hint, types.UnionType) or not inspect.isclass(hint) or hint in seen:
        return
    seen.add(hint)
    yield hint
    if hint.__module__.startswith(("gaelp_rl", "envs")):
        callables = [member for member in vars(hint).values() if inspect.isfunction(member)]
        callables += [member.fget for member in vars(hint).values() if isinstance(member, property)]
        for owner in (hint, *callables):
            for inner in typing.get_type_hints(owner).values():
                yield from _walk_types(inner, seen)


def test_build_observation__no_parameter_leads_to_a_market() -> None:
    """Whatever can be reached from the builder's input types is a report, a plan, or a setting."""
    seen: set[object] = set()
    found = [cls for hint in typing.get_type_hints(build_observation).values() for cls in _walk_types(hint, seen)]
    ours = {cls.__module__ for cls in found if cls.__module__.startswith(("gaelp_rl", "envs"))}
    assert {ReportLedger, ReportBatch} <= set(found)
    assert ours <= {
        "gaelp_rl.domain.conversion_delay",
        "gaelp_rl.domain.ledger",
        "gaelp_rl.domain.objective",
        "gaelp_rl.domain.plans",
        "gaelp_rl.domain.priors",
        "gaelp_rl.domain.reports",
    }
    modules = {cls.__module__.partition(".")[0] for cls in found}
    assert modules <= {"gaelp_rl", "numpy", "builtins", "types", "typing", "collections"}


def test_build_observation__reads_only_public_fields() -> None:
    tree = ast.parse(inspect.getsource(builder))
    private = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")]
    assert private == []


def _list_arrays(holder: object) -> Iterator[np.ndarray]:
    """Every array that a market holds, in its fields and their fields."""
    if isinstance(holder, np.ndarray):
        yield holder
    elif isinstance(holder, tuple):
        for inner in holder:
            yield from _list_arrays(inner)


def test_build_observation__does_not_change_with_the_markets_hidden_state(priors) -> None:
    """Rates, fatigue, budgets left: overwrite all that the market knows and the observation stays, bit for bit.

    What the market reports next does show, so the observation is not merely constant.
    """
    market = BatchedMarket(load_family("wide"), 3)
    ledger = make_ledger_of_market(market)
    plan = market.make_initial_plan()
    ledger.record_plan(plan)
    ledger.observe(market.reset(make_world_keys("train", 7, 3)))
    for _ in range(40):
        ledger.observe(market.step(plan)[0])
    before = build_observation(ledger, OBJECTIVE, priors)
    next_report, _ = market.step(plan)
    hidden = [array for holder in vars(market).values() for array in _list_arrays(holder) if array.flags.writeable]
    assert sum(array.size for array in hidden) > 1000
    for array in hidden:
        array[...] = 1
    assert build_observation(ledger, OBJECTIVE, priors).tobytes() == before.tobytes()
    ledger.observe(next_report)
    assert build_observation(ledger, OBJECTIVE, priors).tobytes() != before.tobytes()

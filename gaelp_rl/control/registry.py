"""The comparators by name: every classical planner that a learned policy is judged against."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.control.dayparts import StaticDayparts, StaticDaypartsParams
from gaelp_rl.control.dual_descent import DualDescent, DualDescentParams
from gaelp_rl.control.even_split import EvenSplit, EvenSplitParams
from gaelp_rl.control.fixed_bids import FixedBids, FixedBidsParams
from gaelp_rl.control.market_model import make_market_model
from gaelp_rl.control.pid import PidPacing, PidParams
from gaelp_rl.control.planner import Planner
from gaelp_rl.control.reference import ReferenceController, ReferenceParams
from gaelp_rl.control.spend_profile import make_optimal_profile, make_uniform_profile
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import ConfigError, UnknownReferenceError, suggest

__all__ = ["COMPARATORS", "Comparator", "ParamSettings", "make_comparator"]

ParamSettings = Mapping[str, float | tuple[float, ...]]
"""Tuned parameters by name; what is not named keeps its default."""


@dataclass(frozen=True, slots=True)
class Comparator:
    """How to make one comparator.

    Attributes:
        params_type: frozen dataclass of what can be tuned.
        make: builds the planner for a family with an instance of ``params_type``.
    """

    params_type: type[Any]
    make: Callable[[FamilyConfig, Any], Planner]


def _make_pid(name: str, make_profile: Callable[..., FloatArray]) -> Callable[[FamilyConfig, Any], Planner]:
    def make(family: FamilyConfig, params: PidParams) -> Planner:
        model = make_market_model(family)
        profile = make_profile(model, family.objective.daily_budget)
        return PidPacing(name, profile, model, family.objective, params)

    return make


COMPARATORS: Mapping[str, Comparator] = MappingProxyType(
    {
        "fixed-bids": Comparator(FixedBidsParams, FixedBids),
        "even-split": Comparator(EvenSplitParams, EvenSplit),
        "static-dayparts": Comparator(
            StaticDaypartsParams,
            lambda family, params: StaticDayparts(make_market_model(family), family.objective, params),
        ),
        "pid-uniform": Comparator(PidParams, _make_pid("pid-uniform", make_uniform_profile)),
        "pid-profile": Comparator(PidParams, _make_pid("pid-profile", make_optimal_profile)),
        "dual-descent": Comparator(
            DualDescentParams, lambda family, params: DualDescent(make_market_model(family), family.objective, params)
        ),
        "reference": Comparator(
            ReferenceParams,
            lambda family, params: ReferenceController(make_market_model(family), family.objective, params),
        ),
    }
)
"""Every comparator, from the naive to the strongest."""


def make_comparator(name: str, family: FamilyConfig, params: ParamSettings | None = None) -> Planner:
    """Builds a comparator for the worlds of a family.

    Args:
        name: a key of ``COMPARATORS``.
        family: gives the objective and the prior.
        params: tuned parameters; None for the defaults.

    Returns:
        The planner, to be reset on a ledger.

    Raises:
        UnknownReferenceError: no comparator has that name.
        ConfigError: a parameter does not exist, is not finite, or has the wrong length.
    """
    if name not in COMPARATORS:
        msg = f"comparator {name!r} does not exist.{suggest(name, COMPARATORS)}"
        raise UnknownReferenceError(msg)
    comparator = COMPARATORS[name]
    settings = dict(params or {})
    _check_settings(name, comparator.params_type, settings)
    return comparator.make(family, comparator.params_type(**settings))


def _check_settings(name: str, params_type: type[Any], settings: ParamSettings) -> None:
    defaults = dataclasses.asdict(params_type())
    for key, setting in settings.items():
        if key not in defaults:
            msg = f"comparator {name!r} has no parameter {key!r}.{suggest(key, defaults)}"
            raise ConfigError(msg)
        _check_numbers(f"{name}.{key}", setting, defaults[key])


def _check_numbers(label: str, setting: float | tuple[float, ...], default: float | tuple[float, ...]) -> None:
    if isinstance(setting, tuple) != isinstance(default, tuple):
        kinds = ("a list", "a number")[:: 1 if isinstance(setting, tuple) else -1]
        msg = f"{label} is {kinds[0]}; it must be {kinds[1]}"
        raise ConfigError(msg)
    numbers = setting if isinstance(setting, tuple) else (setting,)
    if isinstance(default, tuple) and len(numbers) != len(default):
        msg = f"{label} holds {len(numbers)} numbers; it must hold {len(default)}"
        raise ConfigError(msg)
    if not all(math.isfinite(number) for number in numbers):
        msg = f"{label} is {setting!r}; every number must be finite"
        raise ConfigError(msg)

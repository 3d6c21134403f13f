"""Settings of a sweep: which settings of a sprint are searched, over which ranges, and how trials are judged."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.errors import ConfigError, suggest

__all__ = ["MUTABLE_SETTINGS", "Dimension", "Setting", "SweepConfig", "apply_settings", "load_sweep_config"]

Setting = bool | int | float | str | tuple[int, ...]
"""What one setting may hold."""

MUTABLE_SETTINGS = (
    "training.action_penalty",
    "training.actor_lr",
    "training.alpha_lr",
    "training.critic_lr",
    "training.multiplier_step_size",
    "training.tau",
)
"""What population based training may change while a trial trains. The other settings shape networks, stored returns
or rewards: a checkpoint that was trained under one of their values has no meaning under another."""

_NOT_SEARCHED = (
    "evaluation",
    "tracking",
    "trust",
    "families",
    "out",
    "validation_worlds",
    "validation_seed",
    "residual_scales",
    "snapshots",
    "training.seed",
    "training.episodes",
    "training.env_runners",
    "training.replay_capacity",
    "training.checkpoint_every_episodes",
    "training.checkpoints_kept",
    "training.validate_every_episodes",
    "training.torch_threads",
    "training.episode_steps",
    "training.privileged_features",
)
"""Who judges, how long a trial is, and where it is kept: equal for all trials, or their scores mean nothing."""

_SIGNIFICANT_DIGITS = 4


class Dimension(StrictModel):
    """The range of one searched setting; exactly one of the four is given."""

    uniform: tuple[float, float] | None = Field(None, description="lowest and highest, every value as likely")
    log_uniform: tuple[float, float] | None = Field(None, description="lowest and highest, every factor as likely")
    integer: tuple[int, int] | None = Field(None, description="lowest and highest whole number, both included")
    choice: tuple[Setting, ...] | None = Field(None, min_length=2, description="the values themselves")

    @model_validator(mode="after")
    def _check_one_range(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"give exactly one of uniform, log_uniform, integer and choice, not {len(given)} of them"
            raise ValueError(msg)
        if self.choice is None and not self.corners[0] < self.corners[-1]:  # type: ignore[operator]
            msg = f"{given[0]} {list(self.corners)} must run from a lower to a higher number"
            raise ValueError(msg)
        if self.log_uniform is not None and self.log_uniform[0] <= 0.0:
            msg = f"log_uniform {list(self.log_uniform)} must start above 0; use uniform or choice"
            raise ValueError(msg)
        return self

    @property
    def corners(self) -> tuple[Setting, ...]:
        """The ends of a range, or all choices."""
        return self.uniform or self.log_uniform or self.integer or self.choice or ()

    @property
    def is_logarithmic(self) -> bool:
        """Whether factors count, not differences."""
        return self.log_uniform is not None

    def compute_setting(self, quantile: float) -> Setting:
        """The value at a quantile of the range.

        Args:
            quantile: in [0, 1).

        Returns:
            A value within the range; real numbers are rounded to four significant digits.
        """
        if self.choice is not None:
            return self.choice[int(quantile * len(self.choice))]
        if self.integer is not None:
            low, high = self.integer
            return low + int(quantile * (high - low + 1))
        if self.log_uniform is not None:
            low_log, high_log = map(math.log, self.log_uniform)
            return _round_within(math.exp(low_log + quantile * (high_log - low_log)), self.log_uniform)
        bounds = self.uniform or (0.0, 0.0)
        return _round_within(bounds[0] + quantile * (bounds[1] - bounds[0]), bounds)


class SweepConfig(StrictModel):
    """A sweep: trials of a sprint's settings, judged on the unshaped score, and a second look at the winner."""

    trials: int = Field(16, ge=2, le=10_000, description="settings tried; number 0 is always the default")
    training_seeds: int = Field(2, ge=1, le=64, description="runs of every trial, whose scores are averaged")
    episodes: int = Field(8_192, ge=1, le=100_000_000, description="days of experience that each run trains on")
    rung_episodes: int = Field(2_048, ge=1, le=100_000_000, description="episodes between two validations of a trial")
    grace_episodes: int = Field(2_048, ge=1, le=100_000_000, description="episodes before a trial may be stopped")
    reduction_factor: float = Field(2.0, gt=1, le=16, description="ASHA: one of so many trials passes each rung")
    scheduler: Literal["asha", "pbt"] = Field("asha", description="stop bad trials early, or let them copy good ones")
    residual_scale: float = Field(1.0, gt=0, le=1, description="share of the trained action that is judged")
    seed: int = Field(0, ge=0, lt=2**31, description="of the draw of settings and of the trials' training seeds")
    cpus_per_trial: float = Field(1.0, gt=0, le=64, description="two cores run two trials of 1 at once")
    max_failures: int = Field(2, ge=0, le=100, description="times that a crashed trial goes on from its checkpoint")
    confirm_seeds: int = Field(
        4, ge=0, le=64, description="fresh seeds of the winner and of the default; 0: no second look"
    )
    confirm_worlds: int = Field(256, ge=8, le=100_000, description="other validation worlds per family, for that")
    confirm_validation_seed: int = Field(200_000, ge=0, description="first seed of those worlds")
    confidence: float = Field(0.95, gt=0, lt=1, description="of all intervals")
    out: Path = Field(Path("runs/sweep"), description="where trials, winner and plots go")
    space: dict[str, Dimension] = Field(
        min_length=1, description="dotted paths of a sprint's settings and their ranges"
    )
    sprint: SprintConfig = SprintConfig()

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.episodes % self.rung_episodes or self.grace_episodes > self.episodes:
            msg = f"rung_episodes {self.rung_episodes} must divide episodes {self.episodes}, and grace_episodes "
            raise ValueError(f"{msg}{self.grace_episodes} must not exceed them")
        if self.sprint.training.env_runners:
            raise ValueError("sprint.training.env_runners must be 0: a trial samples in its own process")
        searched = range(self.sprint.validation_seed, self.sprint.validation_seed + self.sprint.validation_worlds)
        confirmed = range(self.confirm_validation_seed, self.confirm_validation_seed + self.confirm_worlds)
        if max(searched.start, confirmed.start) < min(searched.stop, confirmed.stop):
            msg = f"confirm_validation_seed {confirmed.start} repeats worlds that trials are judged in, from "
            raise ValueError(f"{msg}{searched.start} to {searched.stop - 1}: the second look needs others")
        return self


def apply_settings(base: SprintConfig, settings: Mapping[str, Setting]) -> SprintConfig:
    """A sprint's settings with some of them changed.

    Args:
        base: the others.
        settings: values by dotted path.

    Returns:
        Validated settings.

    Raises:
        ConfigError: a path leads nowhere, or a value breaks its field's rule.
    """
    tables = base.model_dump(mode="json", exclude={"trust"})
    for path, setting in settings.items():
        _check_path(path)
        *parents, last = path.split(".")
        table = tables
        for key in parents:
            table = table[key]
        table[last] = setting
    try:
        changed = SprintConfig.model_validate_json(json.dumps(tables))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        tried = ", ".join(f"{path} = {setting!r}" for path, setting in settings.items())
        msg = f"a sprint cannot have {tried} ({wrong}): narrow the range in [space]"
        raise ConfigError(msg) from None
    return changed.model_copy(update={"trust": base.trust})


def load_sweep_config(path: Path | None, overrides: Sequence[str]) -> SweepConfig:
    """The settings of a sweep, its search space checked against the settings of a sprint.

    Args:
        path: a TOML file, or None.
        overrides: ``dotted.key=value`` strings, applied last.

    Returns:
        The settings.

    Raises:
        ConfigError: they cannot be used: an unknown path, a range whose end a sprint refuses, or a setting that
            this kind of sweep cannot search.
    """
    config = load_config(SweepConfig, path, overrides)
    for name, dimension in config.space.items():
        _check_searchable(name, config.scheduler)
        if config.scheduler == "pbt" and not (dimension.uniform or dimension.log_uniform):
            raise ConfigError(f"space: {name!r} needs a uniform or log_uniform range for population based training")
        for corner in dimension.corners:
            apply_settings(config.sprint, {name: corner})
    return config


def _check_searchable(path: str, scheduler: str) -> None:
    _check_path(path)
    if any(path == fixed or path.startswith(f"{fixed}.") for fixed in _NOT_SEARCHED):
        msg = f"space: {path!r} sets who judges, how long or where, which all trials must share: take it out of [space]"
        raise ConfigError(msg)
    if scheduler == "pbt" and path not in MUTABLE_SETTINGS:
        msg = f"space: {path!r} cannot change while a trial trains: population based training may search "
        raise ConfigError(f"{msg}{', '.join(MUTABLE_SETTINGS)}; search the others without --pbt")


def _check_path(path: str) -> None:
    model: type[BaseModel] = SprintConfig
    *parents, last = path.split(".")
    for depth, key in enumerate([*parents, last]):
        if key not in model.model_fields:
            known = [".".join([*parents[:depth], name]) for name in model.model_fields]
            raise ConfigError(f"space: a sprint has no setting {path!r}.{suggest(path, known)}")
        inner = model.model_fields[key].annotation
        is_table = isinstance(inner, type) and issubclass(inner, BaseModel)
        if is_table == (depth == len(parents)):
            rule = "is a table: name one of its settings" if is_table else "holds a value, which has no settings"
            raise ConfigError(f"space: {'.'.join([*parents, last][: depth + 1])!r} {rule}")
        if isinstance(inner, type) and is_table:
            model = inner


def _round_within(number: float, bounds: tuple[float, float]) -> float:
    return min(max(float(f"{number:.{_SIGNIFICANT_DIGITS}g}"), bounds[0]), bounds[1])

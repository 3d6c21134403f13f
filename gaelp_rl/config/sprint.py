"""Settings of a sprint: train, judge, register, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, field_validator

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.market import check_families
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.config.tracking import ArtifactTrustConfig, TrackingConfig
from gaelp_rl.config.training import TrainingConfig

__all__ = ["NO_BOOTSTRAP", "SETTINGS_FILE", "SprintConfig", "dump_settings", "load_sprint_config"]

NO_BOOTSTRAP = "none"
"""As ``bootstrap``: start at action zero, whatever history there is."""

SETTINGS_FILE = "sprint.toml"
"""What a run was started with, in the run's folder."""


class SprintConfig(StrictModel):
    """Everything that a sprint needs; ``dump_config`` writes it beside its results."""

    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    tracking: TrackingConfig = TrackingConfig()
    trust: ArtifactTrustConfig = ArtifactTrustConfig()
    families: tuple[str, ...] = Field(("campaign", "wide"), min_length=1, description="families trained on")
    max_log_bid: float = Field(0.4, gt=0, le=5, description="log of the bid multiplier at action 1")
    max_logit: float = Field(0.8, gt=0, le=5, description="offset of the budget-share logit at action 1")
    subtract_twin: bool = Field(True, description="subtract from rewards what action zero earns in the same world")
    pacing_weight: float = Field(
        0.0, ge=0, le=100, description="of potential-based pacing shaping, conversions per budget of deviation"
    )
    privileged_critic: bool = Field(True, description="let critics, never the policy, see the worlds' hidden state")
    validation_worlds: int = Field(256, ge=8, le=100_000, description="worlds per family behind every validation")
    validation_seed: int = Field(10_000, ge=0, description="first seed of the validation worlds")
    residual_scales: tuple[float, ...] = Field(
        (0.25, 0.5, 1.0), min_length=1, description="shares of the trained action that selection chooses from"
    )
    snapshots: int = Field(3, ge=1, le=64, description="newest validated weights that selection chooses from")
    bootstrap: str = Field(
        "",
        description="what `gaelp bootstrap` left, to start from: a folder or runs:/RUN_ID/PATH; empty takes the one in "
        "runs/bootstrap if there is one that fits; none starts at action zero",
    )
    out: Path = Field(Path("runs/sprint"), description="where checkpoints, policy and report go")

    @field_validator("families")
    @classmethod
    def _check_families(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        check_families(families)
        return families

    @field_validator("residual_scales")
    @classmethod
    def _check_scales(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0.0 < scale <= 1.0 for scale in scales):
            msg = f"residual_scales {scales} must each lie above 0 and at most at 1"
            raise ValueError(msg)
        return scales


def dump_settings(config: SprintConfig) -> str:
    """The settings as TOML without the signing key, which a run's folder must not hold."""
    trust = config.trust.model_copy(update={"signing_key": None})
    return dump_config(config.model_copy(update={"trust": trust}))


def load_sprint_config(path: Path | None, overrides: Sequence[str], resume: str | None) -> SprintConfig:
    """The settings of a sprint; a resumed one starts from those that it was started with.

    Args:
        path: a TOML file, or None.
        overrides: ``dotted.key=value`` strings, applied last.
        resume: ``latest``, the path of a checkpoint, or None for a new run.

    Returns:
        The settings. Those of a resumed run come from its own folder, unless ``path`` is given: with
        ``latest`` the folder is ``out``, with a checkpoint's path the one that holds its checkpoints.

    Raises:
        ConfigError: a file or an override cannot be used.
    """
    config = load_config(SprintConfig, path, overrides)
    if resume is None or path is not None:
        return config
    folder = config.out if resume == "latest" else Path(resume).absolute().parents[1]
    saved = folder / SETTINGS_FILE
    if not saved.is_file():
        return config
    return load_config(SprintConfig, saved, [f"out={json.dumps(str(folder))}", *overrides])

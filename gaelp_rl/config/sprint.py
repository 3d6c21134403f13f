"""Settings of a sprint: train, judge, register, report."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.market import load_family
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.config.tracking import ArtifactTrustConfig, TrackingConfig
from gaelp_rl.config.training import TrainingConfig

__all__ = ["SprintConfig"]


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
    privileged_critic: bool = Field(True, description="let critics, never the policy, see the worlds' hidden state")
    validation_worlds: int = Field(256, ge=8, le=100_000, description="worlds per family behind every validation")
    validation_seed: int = Field(10_000, ge=0, description="first seed of the validation worlds")
    residual_scales: tuple[float, ...] = Field(
        (0.25, 0.5, 1.0), min_length=1, description="shares of the trained action that selection chooses from"
    )
    snapshots: int = Field(3, ge=1, le=64, description="newest validated weights that selection chooses from")
    out: Path = Field(Path("runs/sprint"), description="where checkpoints, policy and report go")

    @field_validator("families")
    @classmethod
    def _check_families(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        for family in families:
            load_family(family)
        return families

    @field_validator("residual_scales")
    @classmethod
    def _check_scales(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0.0 < scale <= 1.0 for scale in scales):
            msg = f"residual_scales {scales} must each lie above 0 and at most at 1"
            raise ValueError(msg)
        return scales

"""What an evaluation runs on, and how sure its intervals are."""

from __future__ import annotations

from pydantic import Field, field_validator

from gaelp_rl.config.fidelity import Fidelity
from gaelp_rl.config.market import check_families
from gaelp_rl.config.strict import StrictModel

__all__ = ["EvaluationConfig"]


class EvaluationConfig(StrictModel):
    """One evaluation: every policy on the same held-out worlds of every family."""

    families: tuple[str, ...] = Field(default=("campaign", "wide", "mild", "binding"), min_length=1)
    worlds: int = Field(default=200, ge=2, description="held-out worlds per family")
    fidelity: Fidelity = Field(default="aggregate", description="of the market that policies are judged in")
    cross_check_worlds: int = Field(
        default=16, ge=0, description="worlds of the first family in which trained policies meet both fidelities"
    )
    seed: int = Field(default=0, ge=0, description="of the worlds and of the bootstrap")
    bootstrap_resamples: int = Field(default=2000, ge=100, description="resamples behind every interval")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="coverage of every interval")

    @field_validator("families")
    @classmethod
    def _check_families(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        check_families(families)
        return families

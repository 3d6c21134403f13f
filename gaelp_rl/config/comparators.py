"""The tuned parameters of the comparators, per family, as ``experiments/configs/comparators.toml`` holds them."""

from __future__ import annotations

from pydantic import Field, field_validator

from gaelp_rl.config.market import DEFAULT_FAMILY, load_family
from gaelp_rl.config.strict import StrictModel

__all__ = ["ComparatorsConfig", "TunedComparator", "TuningConfig"]


class TunedComparator(StrictModel):
    """One comparator on one family: what won on validation worlds, and its score there."""

    params: dict[str, float | tuple[float, ...]] = Field(description="parameters by name")
    fho_iqm: float = Field(ge=0, description="interquartile mean of FHO on the validation worlds")
    fho_mean: float = Field(ge=0, description="mean of FHO on the validation worlds")
    cpa_violation_share: float = Field(ge=0, le=1, description="validation worlds above the CPA target")


class TuningConfig(StrictModel):
    """How the comparators were tuned; every comparator got the same."""

    draws: int = Field(default=40, ge=2, le=10_000, description="parameter draws per comparator and family")
    worlds: int = Field(default=256, ge=4, le=100_000, description="validation worlds per draw")
    first_seed: int = Field(default=0, ge=0, description="of the validation worlds")
    seed: int = Field(default=0, ge=0, description="of the draws")


class ComparatorsConfig(StrictModel):
    """Tuned comparators by family and name."""

    tuning: TuningConfig = TuningConfig()
    families: dict[str, dict[str, TunedComparator]] = Field(
        default_factory=dict, description="tuned comparators by family"
    )

    @field_validator("families")
    @classmethod
    def _check_families(cls, families: dict[str, dict[str, TunedComparator]]) -> dict[str, dict[str, TunedComparator]]:
        for family in families:
            load_family(family)
        return families

    def find_params(self, family: str, comparator: str) -> dict[str, float | tuple[float, ...]] | None:
        """The tuned parameters, or None where the defaults hold.

        A family without tuned comparators (``shifted``: nobody knows beforehand that the market
        will move) takes those of the default family.
        """
        tuned = self.families.get(family) or self.families.get(DEFAULT_FAMILY, {})
        return dict(tuned[comparator].params) if comparator in tuned else None

"""Families of worlds: how far a market may lie from the calibration, and what happens in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, MarketCalibration
from gaelp_rl.config.fidelity import Fidelity
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.objective import Objective
from gaelp_rl.errors import ConfigError, suggest

__all__ = ["DEFAULT_FAMILY", "FAMILIES", "FamilyConfig", "check_families", "load_family"]

DEFAULT_FAMILY = "campaign"


class FamilyConfig(StrictModel):
    """One family of 28-day worlds. Log-sds are of log-normal factors around the calibration."""

    name: str = Field(min_length=1, description="as tables and reports show it")
    days: int = Field(28, ge=1, le=28, description="days that a world lives")
    conversion_log_sd: float = Field(0.5, ge=0, le=2, description="persistent, per channel")
    price_log_sd: float = Field(0.35, ge=0, le=2, description="persistent, per channel")
    volume_log_sd: float = Field(0.4, ge=0, le=2, description="persistent, per channel")
    ctr_log_sd: float = Field(0.2, ge=0, le=2, description="persistent, per channel")
    device_conversion_log_sd: float = Field(0.15, ge=0, le=1, description="persistent, per device")
    conversion_drift_sd: float = Field(0.12, ge=0, le=1, description="stationary log-sd of the daily AR(1)")
    price_drift_sd: float = Field(0.10, ge=0, le=1, description="likewise")
    volume_drift_sd: float = Field(0.12, ge=0, le=1, description="likewise")
    drift_persistence: float = Field(0.8, ge=0, lt=1, description="AR(1) coefficient from day to day")
    hourly_volume_sd: float = Field(0.15, ge=0, le=1, description="log-sd, independent by hour")
    hourly_price_sd: float = Field(0.08, ge=0, le=1, description="log-sd, independent by hour")
    shock_rate_per_day: float = Field(0.03, ge=0, le=1, description="competition shocks per channel and day")
    shock_log_size: float = Field(0.3, ge=0, le=2, description="log factor on competing bids during a shock")
    shock_mean_hours: float = Field(24.0, gt=0, le=240, description="mean length of a shock")
    season_amplitude: float = Field(0.10, ge=0, le=0.9, description="four-week swing of volume and price")
    delay_scale: float = Field(1.0, gt=0, le=5, description="factor on the conversion delay's means")
    delay_scale_log_sd: float = Field(0.3, ge=0, le=1, description="of that factor, per channel")
    fatigue_per_exposure: float = Field(0.10, ge=0, le=1, description="log CTR lost per exposure of a creative")
    creative_quality_log_sd: float = Field(0.15, ge=0, le=1, description="CTR of a new creative")
    creative_life_days: int = Field(14, ge=1, le=28, description="days until a creative is replaced")
    learning_price_factor: float = Field(1.15, ge=1, le=3, description="competing bids in a learning phase")
    learning_conversion_factor: float = Field(0.9, gt=0, le=1, description="CVR in a learning phase")
    learning_hours: int = Field(24, ge=1, le=168, description="length of a learning phase")
    pacing_log_sd: float = Field(0.15, ge=0, le=1, description="of a platform's daily spend around its budget")
    price_factor: float = Field(1.0, gt=0, le=5, description="on all competing bids, unknown to policies")
    conversion_factor: float = Field(1.0, gt=0, le=5, description="on all conversion rates, likewise")
    outage_hours: int = Field(0, ge=0, le=240, description="length of one channel's outage, 0 for none")
    delay: ConversionDelay = ConversionDelay()
    calibration: MarketCalibration = Field(DEFAULT_CALIBRATION, description="the centre, by channel", repr=False)
    fidelity: Fidelity = Field("aggregate", description="how closely each hour follows its auctions")
    daily_budget_micros: int = Field(500 * MICROS, gt=0)
    cpa_target_micros: int = Field(100 * MICROS, gt=0)

    @property
    def objective(self) -> Objective:
        """What the advertiser wants in this family."""
        return Objective(daily_budget_micros=self.daily_budget_micros, cpa_target_micros=self.cpa_target_micros)

    def at_fidelity(self, fidelity: Fidelity) -> FamilyConfig:
        """The same worlds, simulated at that fidelity."""
        return self.model_copy(update={"fidelity": fidelity})


FAMILIES: dict[str, FamilyConfig] = {
    family.name: family
    for family in (
        FamilyConfig(
            name="mild",
            conversion_log_sd=0.2,
            price_log_sd=0.15,
            volume_log_sd=0.15,
            ctr_log_sd=0.1,
            conversion_drift_sd=0.05,
            price_drift_sd=0.05,
            volume_drift_sd=0.05,
            shock_rate_per_day=0.01,
            season_amplitude=0.05,
            delay_scale=0.25,
            fatigue_per_exposure=0.05,
        ),
        FamilyConfig(
            name="wide",
            conversion_log_sd=0.6,
            price_log_sd=0.5,
            volume_log_sd=0.5,
            delay_scale=0.25,
        ),
        FamilyConfig(name="campaign"),
        FamilyConfig(name="binding", cpa_target_micros=30 * MICROS),
        FamilyConfig(
            name="shifted",
            price_factor=1.3,
            conversion_factor=0.7,
            outage_hours=36,
            delay_scale=2.0,
            fatigue_per_exposure=0.2,
        ),
    )
}
"""The documented families; ``shifted`` is never trained on."""


def load_family(name: str | Path) -> FamilyConfig:
    """The documented family of that name, or the one that a market TOML holds.

    Args:
        name: a key of ``FAMILIES``, or the path of a TOML file with the fields of ``FamilyConfig``;
            what ends in ``.toml`` is a path.

    Raises:
        ConfigError: there is no such family (the message names the nearest), the file cannot be
            used, or it carries the name of a documented family.
    """
    if str(name).endswith(".toml"):
        return _load_market(Path(name))
    if name not in FAMILIES:
        msg = (
            f"family {str(name)!r} does not exist.{suggest(str(name), FAMILIES)} A market of your own is a .toml file."
        )
        raise ConfigError(msg)
    return FAMILIES[str(name)]


def check_families(names: Iterable[str]) -> None:
    """Checks that every family exists and that no two go by one name.

    Args:
        names: as for ``load_family``.

    Raises:
        ConfigError: one does not exist, or two results would be shown under the same name.
    """
    seen: dict[str, str] = {}
    for name in names:
        shown = load_family(name).name
        if shown in seen:
            msg = f"families {seen[shown]!r} and {name!r} are both called {shown!r}: leave one out, or rename it"
            raise ConfigError(msg)
        seen[shown] = name


def _load_market(path: Path) -> FamilyConfig:
    family = load_config(FamilyConfig, path)
    if family.name in FAMILIES:
        msg = f"{path}: name = {family.name!r} is that of a documented family; give the market a name of its own"
        raise ConfigError(msg)
    return family

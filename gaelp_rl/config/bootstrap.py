"""Settings of a bootstrap from an account's history."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gaelp_rl.config.ga4 import Ga4Config
from gaelp_rl.config.strict import StrictModel

__all__ = ["BootstrapConfig"]


class BootstrapConfig(StrictModel):
    """How a log becomes a market, transitions and offline weights."""

    name: str = Field("account", min_length=1, description="of the calibrated market, as tables show it")
    time_zone: str = Field("UTC", description="IANA name of the account's time zone")
    ga4: Ga4Config = Field(Ga4Config(), description="how a GA4 export is read; hours are in time_zone")
    seed: int = Field(0, ge=0, lt=2**31, description="of everything random")
    mature_share: float = Field(
        0.8, gt=0, le=1, description="of an hour's conversions that must have come before it is learned from"
    )
    baseline_worlds: int = Field(32, ge=1, le=10_000, description="worlds behind the expectation of action zero")
    rollout_worlds: int = Field(64, ge=0, le=16_384, description="worlds rolled out in the calibrated market; 0: none")
    rollout_days: int = Field(7, ge=1, le=28, description="days of each rolled-out world")
    rollout_noise: float = Field(0.2, gt=0, le=1, description="standard deviation of the rollouts' actions")
    algorithm: str = Field("iql", pattern="^(iql|bc)$", description="iql, or bc: behaviour cloning")
    updates: int = Field(2_000, ge=1, le=10_000_000, description="offline updates")
    expectile: float = Field(0.7, gt=0, lt=1, description="of IQL's state values")
    inverse_temperature: float = Field(3.0, ge=0, le=1_000, description="of IQL's advantage weights")
    out: Path = Field(Path("runs/bootstrap"), description="where the artefact goes")

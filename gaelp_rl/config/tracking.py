"""Settings of experiment tracking, the model registry, and trust in policy artefacts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from gaelp_rl.config.strict import StrictModel

__all__ = ["ArtifactTrustConfig", "TrackingConfig"]

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class TrackingConfig(StrictModel):
    """Where runs, metrics and models are recorded. Relative paths count from the working directory."""

    database: Path = Field(Path("runs/mlflow.db"), description="SQLite file, used while tracking_uri is empty")
    artifact_root: Path = Field(Path("runs/mlartifacts"), description="folder of run artefacts beside that database")
    tracking_uri: str = Field("", description="an MLflow server or database URL; empty means the SQLite file above")
    experiment: _Name = Field("gaelp", description="MLflow experiment that holds the runs")
    model_name: _Name = Field("gaelp-bidder", description="registered model that holds the policies")
    metric_batch: int = Field(500, ge=1, le=1000, description="metrics buffered before they are written in one request")
    metric_delay_s: float = Field(5.0, ge=0, le=600, description="longest time that a metric stays buffered")


class ArtifactTrustConfig(StrictModel):
    """Who signs policy artefacts and which ones may be loaded. With all of it empty, any intact one."""

    signing_key: SecretStr | None = Field(None, description="Ed25519 private key, PEM text")
    signing_key_file: Path | None = Field(None, description="or the file that holds it")
    public_key_files: tuple[Path, ...] = Field((), description="Ed25519 public keys, PEM; unsigned is then refused")
    allowed_sha256: tuple[_Sha256, ...] = Field((), description="sha256 of the manifests that may be loaded")

    @model_validator(mode="after")
    def _check_one_signing_key(self) -> Self:
        if self.signing_key is not None and self.signing_key_file is not None:
            raise ValueError("give signing_key or signing_key_file, not both")
        return self

"""Settings of experiment tracking, the model registry, and trust in policy artefacts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from gaelp_rl.config.redaction import has_password
from gaelp_rl.config.strict import StrictModel

__all__ = ["TRACKING_URI_VARIABLE", "ArtifactTrustConfig", "TrackingConfig"]

TRACKING_URI_VARIABLE = "GAELP_TRACKING_URI"
"""Environment variable that names the tracking store where no setting does; it may carry a password."""

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class TrackingConfig(StrictModel):
    """Where runs, metrics and models are recorded. Relative paths count from the working directory.

    The store is the first of: ``tracking_uri_file``, ``tracking_uri``, the environment variable
    ``GAELP_TRACKING_URI``, the SQLite file ``database``. A password may come through the file or the
    variable only: settings are written beside results.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    database: Path = Field(Path("runs/mlflow.db"), description="SQLite file, used where no URL is given")
    artifact_root: Path = Field(Path("runs/mlartifacts"), description="folder of run artefacts, if no server has one")
    tracking_uri: str = Field("", description="an MLflow server or database URL without password")
    tracking_uri_file: Path | None = Field(None, description="file that holds the URL, password included")
    experiment: _Name = Field("gaelp", description="MLflow experiment that holds the runs")
    model_name: _Name = Field("gaelp-bidder", description="registered model that holds the policies")
    metric_batch: int = Field(500, ge=1, le=1000, description="metrics buffered before they are written in one request")
    metric_delay_s: float = Field(5.0, ge=0, le=600, description="longest time that a metric stays buffered")
    outage_limit_s: float = Field(
        600.0, ge=0, le=86_400, description="how long the store may be away before the run stops with an error"
    )
    system_metrics: bool = Field(True, description="sample processor, memory, disk and network into the run")
    system_metrics_every_s: float = Field(10.0, ge=0.05, le=3_600, description="between two such samples")

    @field_validator("tracking_uri")
    @classmethod
    def _check_no_password(cls, uri: str) -> str:
        if has_password(uri):
            raise ValueError(
                "settings are written beside results and may hold no password: put the whole URL into the environment "
                f"variable {TRACKING_URI_VARIABLE}, or into a file that tracking_uri_file names"
            )
        return uri

    @model_validator(mode="after")
    def _check_one_uri(self) -> Self:
        if self.tracking_uri and self.tracking_uri_file is not None:
            raise ValueError("give tracking_uri or tracking_uri_file, not both")
        return self


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

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from gaelp_rl.config import load_config
from gaelp_rl.config.tracking import ArtifactTrustConfig, TrackingConfig
from gaelp_rl.errors import ConfigError


def test_tracking_config__overrides_and_bounds() -> None:
    config = load_config(TrackingConfig, None, ["database=elsewhere/m.db", "metric_batch=1000"])
    assert (config.database, config.metric_batch) == (Path("elsewhere/m.db"), 1000)
    for override in ("metric_batch=1001", "metric_batch=0", "model_name=a/b", "experiment=", "trackinguri=x"):
        with pytest.raises(ConfigError):
            load_config(TrackingConfig, None, [override])


def test_artifact_trust_config__one_signing_key_and_real_hashes() -> None:
    with pytest.raises(ValidationError, match="not both"):
        ArtifactTrustConfig(signing_key=SecretStr("pem"), signing_key_file=Path("key.pem"))
    with pytest.raises(ValidationError, match="allowed_sha256"):
        ArtifactTrustConfig(allowed_sha256=("ABC",))
    assert "pem" not in repr(ArtifactTrustConfig(signing_key=SecretStr("pem"))).replace("SecretStr", "")

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


def test_tracking_config__refuses_a_password_without_showing_it(tmp_path: Path) -> None:
    uri = "postgresql://gaelp:canary-5f0c1e@host/db"
    (tmp_path / "config.toml").write_text(f'tracking_uri = "{uri}"')
    with pytest.raises(ConfigError, match="GAELP_TRACKING_URI") as by_override:
        load_config(TrackingConfig, None, [f"tracking_uri={uri}"])
    with pytest.raises(ConfigError, match="gaelp:\\*\\*\\*@host") as by_file:
        load_config(TrackingConfig, tmp_path / "config.toml")
    with pytest.raises(ValidationError, match="GAELP_TRACKING_URI") as by_code:
        TrackingConfig(tracking_uri=uri)
    for caught in (by_override, by_file, by_code):
        assert "canary" not in str(caught.value)
    with pytest.raises(ConfigError, match="expected dotted") as no_setting:
        load_config(TrackingConfig, None, [uri])
    assert "canary" not in str(no_setting.value)


def test_tracking_config__one_url() -> None:
    assert TrackingConfig(tracking_uri="postgresql://gaelp@host/db").tracking_uri
    with pytest.raises(ValidationError, match="not both"):
        TrackingConfig(tracking_uri="http://host", tracking_uri_file=Path("uri"))

"""Settings of an evaluation."""

from __future__ import annotations

import pytest

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.loading import load_config
from gaelp_rl.errors import ConfigError


def test_evaluation_config__reads_overrides() -> None:
    """Families arrive as a TOML array."""
    config = load_config(EvaluationConfig, overrides=['families=["wide"]', "worlds=50"])
    assert config.families == ("wide",)
    assert config.worlds == 50
    assert config.confidence == 0.95


@pytest.mark.parametrize("override", ['families=["campain"]', "families=[]", "worlds=1", "confidence=1.0", "world=5"])
def test_evaluation_config__refuses(override: str) -> None:
    """An unknown family, nothing to do, no interval possible, an unknown key."""
    with pytest.raises(ConfigError):
        load_config(EvaluationConfig, overrides=[override])

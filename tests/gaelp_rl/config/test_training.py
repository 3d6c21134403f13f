"""Training settings refuse what cannot work, naming it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gaelp_rl.config.training import TrainingConfig


def test_training_config__every_field_is_described_and_bounded() -> None:
    for name, field in TrainingConfig.model_fields.items():
        assert field.description, name
        assert field.annotation is bool or field.metadata, f"{name} has no bounds"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"gamma": 1.0}, "gamma"),
        ({"worlds": 3}, "worlds"),
        ({"batch_size": "256"}, "batch_size"),
        ({"initial_log_std": 0.5}, "initial_log_std"),
        ({"hidden_sizes": (128, 0)}, "hidden_sizes"),
        ({"n_step": 4, "episode_steps": 2}, "n_step"),
        ({"replay_capacity": 1_000}, "replay_capacity"),
        ({"actor_lr": float("nan")}, "actor_lr"),
    ],
)
def test_training_config__refuses_and_names(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        TrainingConfig(**settings)

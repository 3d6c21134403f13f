"""A run that was saved, ended and resumed is the run that never stopped, to the last bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.checkpoint import find_latest_checkpoint
from gaelp_rl.training.setup import make_algorithm_config

_OVERRIDES = [
    'families=["campaign", "wide"]',
    "training.worlds_per_env_runner=8",
    "training.warmup_steps=384",
    "training.batch_size=64",
    "training.replay_capacity=2000",
    "training.critic_warmup_updates=8",
]


def _build() -> FastSAC:
    config = load_config(SprintConfig, None, _OVERRIDES)
    return make_algorithm_config(make_training_config(config), ENV_NAME, make_env_creator(config)).build_algo()


def _train(algorithm: FastSAC, days: int) -> None:
    for _ in range(days):
        algorithm.train()


@pytest.mark.integration
def test_continuation__across_the_end_of_the_worlds_is_bit_identical(ray_session: None, tmp_path: Path) -> None:
    """Saved on day 26 of worlds that live 28: old worlds, new worlds, replay, noise and learner all go on."""
    uninterrupted, resumed = _build(), _build()
    try:
        _train(uninterrupted, 26)
        saved = uninterrupted.compute_part_hashes()
        uninterrupted.save_training(tmp_path)
        _train(uninterrupted, 6)
        _train(resumed, 1)
        resumed.load_training(find_latest_checkpoint(tmp_path))
        assert resumed.has_continued_worlds
        assert resumed.compute_part_hashes() == saved
        _train(resumed, 6)
        assert uninterrupted.compute_part_hashes() == resumed.compute_part_hashes()
        assert all(saved[name] != now for name, now in resumed.compute_part_hashes().items())
    finally:
        uninterrupted.stop()
        resumed.stop()

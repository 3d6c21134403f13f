"""A trial's checkpoint under other settings, as population based training uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.sweep_trial import SprintTrial, TrialFactory
from experiments.validation import compute_baseline
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sweep import SweepConfig

_SETTINGS = (
    "episodes=32",
    "rung_episodes=16",
    "grace_episodes=16",
    "training_seeds=1",
    'space={"training.actor_lr" = {log_uniform = [1e-5, 1e-2]}}',
    'sprint.families=["campaign"]',
    "sprint.validation_worlds=8",
    "sprint.training.worlds_per_env_runner=16",
    "sprint.training.warmup_steps=24",
    "sprint.training.batch_size=32",
    "sprint.training.critic_warmup_updates=0",
)


def _read_rate(trial: SprintTrial) -> float:
    def read(learner: Any) -> float:
        return float(learner.get_optimizer("default_policy", "policy").param_groups[0]["lr"])

    (algorithm,) = trial._algorithms
    return next(iter(algorithm.learner_group.foreach_learner(read))).get()


@pytest.mark.integration
def test_checkpoint__goes_on_with_the_settings_of_the_one_that_loads_it(ray_session: None, tmp_path: Path) -> None:
    """Adam's saved state holds the old step size: loaded as it is, nothing would ever be explored."""
    config = load_config(SweepConfig, None, _SETTINGS)
    factory = TrialFactory(config, compute_baseline(config.sprint))
    donor, heir = (factory({"training.actor_lr": rate}, (0,)) for rate in (1e-4, 2e-3))
    try:
        assert donor.advance()["episodes"] == 16
        donor.save(tmp_path)
        heir.load(tmp_path)
        assert heir._algorithms[0].episodes == 16
        assert heir.advance()["episodes"] == 32
        assert _read_rate(heir) == pytest.approx(2e-3)
    finally:
        donor.close()
        heir.close()

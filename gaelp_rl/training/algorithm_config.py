"""RLlib's config of SAC with what RLlib does not know."""

from __future__ import annotations

from typing import Self

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.sac import SACConfig

from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.errors import ConfigError
from gaelp_rl.training.learner import FastSACLearner

__all__ = ["FastSACConfig", "copy_without_env_runners"]


class FastSACConfig(SACConfig):
    """SAC's config plus a ``TrainingConfig``, from which ``make_algorithm_config`` fills the rest."""

    def __init__(self, algo_class: type | None = None) -> None:
        if algo_class is None:
            from gaelp_rl.training.algorithm import FastSAC

            algo_class = FastSAC
        super().__init__(algo_class=algo_class)
        self.fast_sac = TrainingConfig().model_dump()
        self.action_penalty = 0.0
        self.critic_warmup_updates = 0
        self.torch_threads = 1

    def fast(self, training: TrainingConfig) -> Self:
        """Takes over the settings that RLlib does not know."""
        self.fast_sac = training.model_dump()
        self.action_penalty = training.action_penalty
        self.critic_warmup_updates = training.critic_warmup_updates
        self.torch_threads = training.torch_threads
        return self

    def validate(self) -> None:
        """Refuses what the fused update cannot do.

        Raises:
            ConfigError: more than one learner is asked for.
        """
        super().validate()
        if self.num_learners > 1:
            msg = f"num_learners is {self.num_learners}; FastSAC updates in one learner: use 0 or 1, or stock SAC"
            raise ConfigError(msg)

    def get_default_learner_class(self) -> type[FastSACLearner]:
        """The fused learner."""
        return FastSACLearner


def copy_without_env_runners(config: AlgorithmConfig) -> AlgorithmConfig:
    """The same config with sampling in the trainer's own process."""
    copy = config.copy(copy_frozen=False)
    copy.num_env_runners = 0
    copy.create_env_on_local_worker = True
    copy.freeze()
    return copy

"""Settings of a training run."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from gaelp_rl.config.strict import StrictModel

__all__ = ["TrainingConfig"]


class TrainingConfig(StrictModel):
    """How long, on how many worlds, and with which SAC a policy is trained."""

    episodes: int = Field(32_768, ge=1, le=100_000_000, description="days of experience to train on")
    seed: int = Field(0, ge=0, lt=2**31, description="of everything random in the run")

    env_runners: int = Field(0, ge=0, le=1_000, description="sampling processes; 0 samples in the trainer's own")
    worlds_per_env_runner: int = Field(128, ge=1, le=16_384, description="worlds that one process steps as a batch")
    cpus_per_env_runner: float = Field(
        0.0, ge=0, le=64, description="CPUs that Ray reserves for each; 0 divides the machine's among all, at most 1"
    )
    env_runner_starts_at_once: int = Field(
        0, ge=0, le=1_000, description="env runners that may be starting at a time; 0 takes the cluster's CPUs"
    )
    env_runner_start_timeout_s: float = Field(
        300.0, gt=0, le=86_400, description="longest wait for the next env runner to come up before the run gives up"
    )
    episode_steps: int = Field(24, ge=1, le=1_000, description="steps of an episode: the hours of a day")
    torch_threads: int = Field(1, ge=1, le=64, description="of the learner; 2 slow down on busy cores")

    env_steps_per_update: int = Field(64, ge=1, le=100_000, description="environment steps paid for each update")
    updates_per_call: int = Field(16, ge=1, le=1_024, description="minibatches drawn at once from replay")
    batch_size: int = Field(256, ge=1, le=65_536, description="transitions of a minibatch")
    warmup_steps: int = Field(6_144, ge=0, le=10_000_000, description="steps sampled before the first update")
    critic_warmup_updates: int = Field(500, ge=0, le=1_000_000, description="updates before the actor may move")

    gamma: float = Field(0.8, ge=0, lt=1, description="discount per step")
    n_step: int = Field(1, ge=1, le=24, description="rewards summed before bootstrapping")
    tau: float = Field(0.005, gt=0, le=1, description="share of the critics that enters their targets per update")
    actor_lr: float = Field(3e-4, gt=0, le=0.1, description="Adam step size of the policy")
    critic_lr: float = Field(3e-4, gt=0, le=0.1, description="Adam step size of the critics")
    alpha_lr: float = Field(3e-4, gt=0, le=0.1, description="Adam step size of the temperature")
    initial_alpha: float = Field(1e-3, gt=0, le=10, description="temperature at the start")
    target_entropy: float = Field(-16.0, ge=-1_000, le=1_000, description="nats of the whole action vector; low")
    action_penalty: float = Field(
        0.0, ge=0, le=1_000, description="weight of mean(|pi(s)|^2), the pull towards action zero"
    )

    hidden_sizes: tuple[int, ...] = Field((128, 128), min_length=1, max_length=6, description="units by hidden layer")
    critic_curvature: float = Field(
        50.0, ge=0, le=10_000, description="of critics quadratic in the action, reward per unit^2; 0: plain networks"
    )
    privileged_features: int = Field(
        0, ge=0, le=1_000, description="last observation entries that only critics read; set by the sprint"
    )
    critic_layer_norm: bool = Field(False, description="layer normalisation, without gains, in the critics")
    initial_log_std: float = Field(-1.6, ge=-5, le=1, description="log of the exploration noise at the start")
    log_std_min: float = Field(-1.6, ge=-5, le=1, description="lower clamp of the log noise")
    log_std_max: float = Field(0.0, ge=-5, le=2, description="upper clamp of the log noise")

    replay_capacity: int = Field(800_000, ge=24, le=1_000_000_000, description="transitions kept, whole days only")
    priority_alpha: float = Field(0.3, ge=0, le=1, description="exponent of priorities; 0 samples uniformly")
    priority_beta: float = Field(0.4, ge=0, le=1, description="importance exponent at the start; it ends at 1")
    priority_epsilon: float = Field(1e-2, gt=0, le=1, description="added to the absolute TD error")

    multiplier_step_size: float = Field(1e-4, ge=0, le=1, description="of the CPA multiplier; 0 leaves it off")
    multiplier_limit: float = Field(0.1, gt=0, le=100, description="highest CPA multiplier, conversions per currency")

    checkpoint_every_episodes: int = Field(8_192, ge=1, le=100_000_000, description="between two checkpoints")
    checkpoints_kept: int = Field(2, ge=1, le=1_000, description="newest checkpoints that stay on disk")
    validate_every_episodes: int = Field(8_192, ge=1, le=100_000_000, description="between two validations")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if not self.log_std_min <= self.initial_log_std <= self.log_std_max:
            msg = f"initial_log_std {self.initial_log_std} must lie in [log_std_min, log_std_max]"
            raise ValueError(msg)
        if not all(1 <= size <= 4_096 for size in self.hidden_sizes):
            msg = f"hidden_sizes {self.hidden_sizes} must each lie in [1, 4096]"
            raise ValueError(msg)
        if self.n_step > self.episode_steps:
            msg = f"n_step {self.n_step} must not exceed episode_steps {self.episode_steps}"
            raise ValueError(msg)
        day_of_all_worlds = self.worlds_per_env_runner * self.episode_steps
        if self.replay_capacity < day_of_all_worlds:
            msg = f"replay_capacity {self.replay_capacity} must hold a day of one runner's worlds, {day_of_all_worlds}"
            raise ValueError(msg)
        return self

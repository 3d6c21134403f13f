"""An env runner in a process of its own, without torch and RLlib: a third of the memory and of the start.

RLlib's ``EnvRunnerGroup`` manages it like any of its own: it answers the same messages.
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray

from gaelp_rl.training.day_sampler import DaySampler, EnvCreator, RunnerIdentity, SampledDay, make_batched_env
from gaelp_rl.training.numpy_actor import NumpyActor

__all__ = ["RemoteEnvRunner", "RunnerSettings", "sample_day"]

_logger = logging.getLogger(__name__)
_REBORN_BITS = 62
_RL_MODULE, _MODULE_ID = "rl_module", "default_policy"
"""As in ``ray.rllib.core``, which would import torch."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """What every remote env runner of a run has in common.

    Attributes:
        creator: makes the worlds.
        env_config: passed to it.
        worlds: of each env runner.
        steps: of a day.
        seed: of the run.
        log_std_bounds: lowest and highest log standard deviation of an action before squashing.
        restart_delay_s: pause before a process that failed ends and is started again.
    """

    creator: EnvCreator
    env_config: Mapping[str, Any]
    worlds: int
    steps: int
    seed: int
    log_std_bounds: tuple[float, float]
    restart_delay_s: float = 1.0


class RemoteEnvRunner:
    """Samples days with the last weights that it was sent.

    A process that Ray starts in a dead one's place draws its generation at random: it meets worlds and
    noise that none before it met, whoever notices the restart.

    Args:
        settings: of all env runners.
        index: of this one, from 1.
    """

    def __init__(self, settings: RunnerSettings, index: int) -> None:
        self._settings = settings
        self.worker_index = index
        self.policy: NumpyActor | None = None
        self.days = 0
        env = make_batched_env(settings.creator, settings.env_config, settings.worlds, resumable=False)
        generation = secrets.randbits(_REBORN_BITS) if _is_restarted_actor() else 0
        self._sampler = DaySampler(env, settings.steps, RunnerIdentity(settings.seed, index), generation)

    @property
    def generation(self) -> int:
        """What sets its worlds and noise apart from those of a runner in its place before or after it."""
        return self._sampler.generation

    def ping(self) -> str:
        """Answers once it is up."""
        return "pong"

    def apply(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function with this env runner; where that fails the process ends, and Ray starts another.

        What went wrong may have left it in any state; its log has the error.
        """
        try:
            return func(self, *args, **kwargs)
        except Exception:
            _logger.exception("env runner %d failed and starts again", self.worker_index)
            time.sleep(self._settings.restart_delay_s)
            sys.exit(1)

    def sample_day(self) -> SampledDay | None:
        """A day of its worlds; None where it took a dead one's place and has no weights yet.

        Raises:
            DataError: as from ``DaySampler.sample``.
        """
        if self.policy is None:
            return None
        self.days += 1
        return self._sampler.sample(self.policy)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes the weights out of the state that ``EnvRunnerGroup.sync_weights`` sends; all else is not for it.

        Raises:
            DataError: they are not a policy's.
        """
        if _RL_MODULE in state:
            weights = state[_RL_MODULE]
            weights = ray.get(weights) if isinstance(weights, ray.ObjectRef) else weights
            self.policy = NumpyActor.from_module_state(weights[_MODULE_ID], self._settings.log_std_bounds)

    def start_generation(self, generation: int) -> None:
        """Starts new worlds at the next sample, with seeds and noise of their own."""
        self._sampler.start_generation(generation)

    def stop(self) -> None:
        """Nothing is held that outlives the process."""


def sample_day(runner: RemoteEnvRunner) -> SampledDay | None:
    """``RemoteEnvRunner.sample_day``, for ``apply``."""
    return runner.sample_day()


def _is_restarted_actor() -> bool:
    """Whether this process is an actor that Ray has started again after a death."""
    if not ray.is_initialized():
        return False
    context = ray.get_runtime_context()
    return context.get_actor_id() is not None and bool(context.was_current_actor_reconstructed)

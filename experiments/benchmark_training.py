"""Training against its peers: the same worlds, networks, batch and ratio of updates to steps, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import util
from typing import Any

from experiments.measurement import Measurement
from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.training import TrainingConfig

__all__ = ["TrainingSizes", "measure_learner", "measure_training"]

_MILLISECONDS, _MILLION = 1e3, 1e6
_RLLIB, _SB3 = "RLlib SAC, prioritized replay", "Stable-Baselines3 SAC, uniform replay"
_NEVER = 10_000_000
_SAMPLED = {"num_env_steps_sampled_lifetime": 1}
_GOAL_OUTSIDE = 20.0
_ROUNDS = 3
_DAY_UNDER_WAY_S = 1.0
"""Longer than a remote env runner takes for the day that it is ahead."""


@dataclass(frozen=True, slots=True)
class TrainingSizes:
    """How much is measured; the defaults take about two minutes.

    Attributes:
        training: worlds per env runner, batch, networks and ratio of updates to steps.
        calls: learner calls that are timed, of ``updates_per_call`` minibatches each.
        stock_updates: updates of the stock learner that are timed.
        days: days of all worlds that our training is timed over.
        peer_days: the same of Stable-Baselines3; RLlib's gets a single day.
        apart_worlds: of the one env runner that samples while the learner works.
    """

    training: TrainingConfig = field(default_factory=TrainingConfig)
    calls: int = 30
    stock_updates: int = 60
    days: int = 12
    peer_days: int = 4
    apart_worlds: int = 256


@dataclass(frozen=True, slots=True)
class _Rate:
    """Seconds that a number of environment steps and updates took, by the clock of who measured."""

    steps: float
    updates: float
    seconds: float


def measure_learner(sizes: TrainingSizes) -> list[Measurement]:
    """Milliseconds for one update of the same hidden sizes and batch, drawing from replay left out."""
    training = sizes.training.model_copy(update={"warmup_steps": _NEVER, "critic_warmup_updates": 0})
    with _open_algorithm(training, stock=False) as algorithm:
        algorithm.train()
        ours = _time_own_learner(algorithm, training, sizes.calls) / training.updates_per_call
    with _open_algorithm(training, stock=True) as algorithm:
        algorithm.train()
        stock = _time_stock_learner(algorithm, training, sizes.stock_updates)
    name = f"learner update, batch {training.batch_size}"
    return [Measurement(name, ours * _MILLISECONDS, "ms", _RLLIB, stock * _MILLISECONDS)]


def measure_training(sizes: TrainingSizes) -> list[Measurement]:
    """Steps and updates per CPU second on ``gaelp/MultiChannel-v1``, and what is not the learner's own step."""
    one_day = sizes.training.worlds_per_env_runner * sizes.training.episode_steps
    training = sizes.training.model_copy(update={"warmup_steps": one_day})
    with _open_algorithm(training, stock=False) as algorithm:
        ours, outside = _time_both(algorithm, training, sizes, time.process_time)
    with _open_algorithm(training, stock=True) as algorithm:
        stock = _time_training(algorithm, training, 1)
    peers = {_RLLIB: stock}
    if util.find_spec("stable_baselines3") is not None:
        peers[_SB3] = _time_sb3(training, sizes.peer_days)
    rows = [row for name, peer in peers.items() for row in _compare(ours, name, peer, training)]
    name = "training in one process: CPU time outside the learner's own step"
    return [*rows, Measurement(name, outside, "%", "goal", _GOAL_OUTSIDE), *_measure_apart(sizes)]


def _measure_apart(sizes: TrainingSizes) -> list[Measurement]:
    """Wall time where one env runner samples in a process of its own: what the learner waits for, and the rate."""
    one_day = sizes.apart_worlds * sizes.training.episode_steps
    changes = {"env_runners": 1, "worlds_per_env_runner": sizes.apart_worlds, "warmup_steps": one_day}
    training = sizes.training.model_copy(update=changes)
    with _open_algorithm(training, stock=False) as algorithm:
        algorithm.train()
        ours, outside = _time_both(algorithm, training, sizes, time.perf_counter)
    name = "training, 1 env runner beside it: "
    return [
        Measurement(f"{name}wall time outside the learner's own step", outside, "%", "goal", _GOAL_OUTSIDE),
        Measurement(f"{name}steps a second of wall time", ours.steps / ours.seconds, "steps/s"),
    ]


def _compare(ours: _Rate, name: str, peer: _Rate, training: TrainingConfig) -> Iterator[Measurement]:
    ratio = f"one update per {training.env_steps_per_update}"
    figures: Mapping[str, tuple[Callable[[_Rate], float], str, bool]] = {
        f"training steps, {ratio}": (lambda rate: rate.steps / rate.seconds, "steps/s", True),
        f"updates while training, {ratio}": (lambda rate: rate.updates / rate.seconds, "updates/s", True),
        "CPU time per million steps": (lambda rate: rate.seconds / rate.steps * _MILLION, "s", False),
    }
    for what, (compute, unit, is_rate) in figures.items():
        yield Measurement(what, compute(ours), unit, name, compute(peer), is_rate=is_rate)


def _time_training(
    algorithm: Any, training: TrainingConfig, days: int, clock: Callable[[], float] = time.process_time
) -> _Rate:
    """Seconds of whole days, the first left out. RLlib's counts as many updates as it was asked for."""
    before = _count_steps(algorithm.train())
    started = clock()
    for _ in range(days):
        result = algorithm.train()
    seconds = clock() - started
    steps = _count_steps(result) - before
    return _Rate(steps, steps / training.env_steps_per_update, seconds)


def _time_both(
    algorithm: Any, training: TrainingConfig, sizes: TrainingSizes, clock: Callable[[], float]
) -> tuple[_Rate, float]:
    """Our training, and what per cent of its time is not the learner's own step.

    Both are timed in turns, since a machine's speed drifts.
    """
    rounds = min(_ROUNDS, sizes.days)
    parts, per_call = [], []
    for _ in range(rounds):
        parts.append(_time_training(algorithm, training, sizes.days // rounds, clock))
        if training.env_runners:
            time.sleep(_DAY_UNDER_WAY_S)
        per_call.append(_time_own_learner(algorithm, training, max(sizes.calls // rounds, 1), clock))
    total = _Rate(*(sum(getattr(part, name) for part in parts) for name in ("steps", "updates", "seconds")))
    own = total.updates * sum(per_call) / rounds / training.updates_per_call
    return total, 100.0 * (1.0 - own / total.seconds)


def _time_sb3(training: TrainingConfig, days: int) -> _Rate:
    """CPU seconds of Stable-Baselines3's whole loop on the same worlds, its first day left out."""
    import torch

    from experiments.peer_sb3 import make_sb3_sac

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = make_sb3_sac(SprintConfig(training=training))
        one_day = training.worlds_per_env_runner * training.episode_steps
        model.learn(2 * one_day)
        steps, updates, started = model.num_timesteps, model._n_updates, time.process_time()
        model.learn(days * one_day, reset_num_timesteps=False)
        seconds = time.process_time() - started
        return _Rate(model.num_timesteps - steps, model._n_updates - updates, seconds)
    finally:
        torch.set_num_threads(threads)


def _time_own_learner(
    algorithm: Any, training: TrainingConfig, calls: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Seconds per call on a batch that was drawn once."""
    from gaelp_rl.training.learner import make_learner_batch

    drawn = algorithm.replay.sample(training.updates_per_call * training.batch_size, 1.0)
    batch = make_learner_batch(drawn, drawn.rewards)
    return _time_call(lambda: algorithm.learner_group.update(batch=batch, timesteps=_SAMPLED), calls, clock)


def _time_stock_learner(algorithm: Any, training: TrainingConfig, updates: int) -> float:
    """CPU seconds per update."""
    episodes = algorithm.local_replay_buffer.sample(
        num_items=training.batch_size, n_step=training.n_step, gamma=training.gamma, beta=1.0, sample_episodes=True
    )
    return _time_call(lambda: algorithm.learner_group.update(episodes=episodes, timesteps=_SAMPLED), updates)


def _time_call(call: Callable[[], Any], times: int, clock: Callable[[], float] = time.process_time) -> float:
    """Mean seconds of a call, the first left out."""
    call()
    started = clock()
    for _ in range(times):
        call()
    return (clock() - started) / times


def _count_steps(result: Mapping[str, Any]) -> float:
    return float(result["env_runners"]["num_env_steps_sampled_lifetime"])


@contextmanager
def _open_algorithm(training: TrainingConfig, *, stock: bool) -> Iterator[Any]:
    """An algorithm in this process on the sprint's environment, on one thread of torch."""
    import ray
    import torch

    from gaelp_rl.training.setup import make_algorithm_config

    config = SprintConfig(training=training)
    is_own_ray = not ray.is_initialized()
    if is_own_ray:
        ray.init(
            address="local",
            num_cpus=1 + training.env_runners,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    algorithm = None
    try:
        settings = make_training_config(config)
        algorithm = make_algorithm_config(settings, ENV_NAME, make_env_creator(config), stock=stock).build_algo()
        yield algorithm
    finally:
        if algorithm is not None:
            algorithm.stop()
        torch.set_num_threads(threads)
        if is_own_ray:
            ray.shutdown()

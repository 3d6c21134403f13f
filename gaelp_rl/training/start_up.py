"""How remote env runners come up: a share of the CPUs for each, a few at a time, or an error in the end.

A cold env runner imports Ray, numba and the market: seconds of a core, before it samples anything. Fifty
that start at once on two cores only slow each other down; here one starts when another is up.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import ray
from gymnasium.vector import VectorEnv
from ray.exceptions import RayError

from gaelp_rl.errors import ResourceError
from gaelp_rl.training.remote_env_runner import RemoteEnvRunner, RunnerSettings

__all__ = [
    "StartUpListener",
    "compile_kernels",
    "compute_cpus_per_env_runner",
    "listen_to_start_up",
    "load_node_cpus",
    "start_env_runners",
]

StartUpListener = Callable[[int, int], None]
"""Called with how many env runners are up, and how many there shall be."""

_RAY_GRAIN = 10_000
"""Ray counts CPUs in ten-thousandths."""

_listener: ContextVar[StartUpListener | None] = ContextVar("start_up_listener", default=None)


@contextmanager
def listen_to_start_up(listener: StartUpListener) -> Iterator[None]:
    """Calls ``listener`` whenever an env runner has come up, for algorithms that are built inside."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def compile_kernels(env: VectorEnv[Any, Any, Any], steps: int) -> None:
    """Runs a day of an environment, so that its kernels are compiled once and lie in the cache for all.

    Fifty env runners that meet an empty cache would compile the same functions fifty times, some 20
    seconds of a core each.

    Args:
        env: the environment; its state is lost.
        steps: steps of its day.
    """
    env.reset(seed=0)
    actions = np.zeros(env.action_space.shape or (), dtype=np.float32)
    for _ in range(steps):
        env.step(actions)


def compute_cpus_per_env_runner(node_cpus: Sequence[float], env_runners: int) -> float:
    """The largest CPU reservation, at most 1, with which all env runners find a node.

    A reservation of c lets floor(cpus / c) env runners onto a node; only c = cpus / k, for a whole k, are
    worth trying.

    Args:
        node_cpus: CPUs of each node.
        env_runners: how many have to fit; 0 needs nothing.

    Returns:
        CPUs per env runner in Ray's grain of 1/10,000, at least one grain.
    """
    grains = [int(cpus * _RAY_GRAIN) for cpus in node_cpus if cpus > 0]
    if not env_runners or not grains:
        return 1.0 if not env_runners else 1.0 / _RAY_GRAIN
    tried = {min(grain // count, _RAY_GRAIN) for grain in set(grains) for count in range(1, env_runners + 1)}
    fits = [share for share in tried if share and sum(grain // share for grain in grains) >= env_runners]
    return max(fits, default=1) / _RAY_GRAIN


def load_node_cpus() -> tuple[float, ...]:
    """CPUs of every node of the cluster that this process is connected to, else of this machine alone."""
    if not ray.is_initialized():
        return (float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),)
    return tuple(float(node["Resources"].get("CPU", 0.0)) for node in ray.nodes() if node["Alive"])


def start_env_runners(
    group: Any, settings: RunnerSettings, count: int, *, cpus: float, restarts: int, at_once: int, timeout_s: float
) -> None:
    """Adds env runners to a group, ``at_once`` of them starting at any time, until all are up.

    Args:
        group: RLlib's ``EnvRunnerGroup``, without remote env runners.
        settings: of all of them.
        count: how many to add.
        cpus: reserved for each.
        restarts: how often Ray starts each again after a death; -1 for always.
        at_once: how many may be starting at a time, at least 1.
        timeout_s: longest wait for the next one to come up.

    Raises:
        ResourceError: none came up for ``timeout_s``, or one died while starting.
    """
    make_actor = ray.remote(num_cpus=cpus, max_restarts=restarts)(RemoteEnvRunner)
    starting: dict[Any, int] = {}
    up, last_s = 0, time.monotonic()
    while up < count:
        while len(starting) < at_once and up + len(starting) < count:
            actor = make_actor.remote(settings, group.num_remote_env_runners() + 1)
            group._worker_manager.add_actors([actor])
            starting[actor.ping.remote()] = group.num_remote_env_runners()
        ready, _ = ray.wait(list(starting), timeout=max(last_s + timeout_s - time.monotonic(), 0.0))
        if not ready:
            raise ResourceError(_describe_timeout(up, count, sorted(starting.values()), timeout_s))
        _check_alive(ready[0], starting.pop(ready[0]))
        up, last_s = up + 1, time.monotonic()
        if (listener := _listener.get()) is not None:
            listener(up, count)


def _check_alive(reference: Any, index: int) -> None:
    try:
        ray.get(reference)
    except RayError as error:
        reason = str(error).strip().rpartition("\n")[2]
        msg = f"env runner {index} died while it started: {reason}; fewer env runners need less memory"
        raise ResourceError(msg) from error


def _describe_timeout(up: int, count: int, starting: Sequence[int], timeout_s: float) -> str:
    cpus = sum(load_node_cpus())
    free = math.floor(100 * ray.available_resources().get("CPU", 0.0)) / 100
    return (
        f"{up} of {count} env runners are up, and none of {', '.join(map(str, starting))} followed within "
        f"{timeout_s:g} s ({free:g} of {cpus:g} CPUs are free in Ray): lower training.env_runners, set a smaller "
        "training.cpus_per_env_runner, or raise training.env_runner_start_timeout_s on a busy machine"
    )

"""What a sprint needs, held against what there is, before it starts: facts, arithmetic, and a refusal that helps.

A run that asks for more than there is would otherwise wait for CPUs without end, be killed for memory
after an hour, or fail at its first checkpoint.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from envs.market.session import PRIVILEGED_SIZE
from experiments.world_pool import count_workers
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.features.actions import ACTION_SIZE
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA

__all__ = [
    "Capacity",
    "Need",
    "check_capacity",
    "compute_needs",
    "compute_replay_bytes",
    "count_fitting_env_runners",
    "load_capacity",
    "render_needs",
    "run_preflight",
]

_MIB, _GIB = 2**20, 2**30
_ENV_RUNNER_BYTES = 140 * _MIB
"""Of one env runner: 132 MiB with 8 worlds; docs/env-runners.md says what takes it."""
_WORLD_BYTES = _MIB // 4
_TRAINER_BYTES = 1_200 * _MIB
_JUDGE_BYTES = 240 * _MIB
"""Of one process that judges: 223 MiB with 200 worlds of 28 days."""
_CHECKPOINT_BYTES = 20 * _MIB
_FLOAT_BYTES = 4
_PRIORITY_BYTES = 16
"""Per transition: a leaf and an inner node of the sum tree."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there is.

    Attributes:
        cpus: of the cluster, or of this machine.
        memory_bytes: available now; on a cluster what its nodes offer.
        disk_bytes: free where the run's folder is.
        judges: processes that will run planners through worlds beside the trainer.
    """

    cpus: float
    memory_bytes: float
    disk_bytes: float
    judges: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """One resource: how much of it a run needs and how much there is, in ``unit``."""

    name: str
    needed: float
    available: float
    unit: str
    reason: str

    @property
    def fits(self) -> bool:
        """Whether there is enough."""
        return self.needed <= self.available


def compute_replay_bytes(config: SprintConfig, transitions: int) -> int:
    """Bytes of that many transitions in replay, the observation behind each day's last step included."""
    training = config.training
    width = OBSERVATION_SCHEMA.size + (PRIVILEGED_SIZE if config.privileged_critic else 0)
    observations = width * (training.episode_steps + 1) / training.episode_steps
    floats = observations + ACTION_SIZE + 3  # reward, cost, discount
    return int(transitions * (floats * _FLOAT_BYTES + _PRIORITY_BYTES))


def compute_needs(config: SprintConfig, capacity: Capacity) -> list[Need]:
    """CPUs, memory and disk of a sprint beside what there is."""
    training = config.training
    runners = training.env_runners
    share = training.cpus_per_env_runner
    cpus = runners * share if share else min(float(runners), capacity.cpus)
    steps = training.episodes * training.episode_steps
    checkpoint = _CHECKPOINT_BYTES + compute_replay_bytes(config, min(steps, training.replay_capacity))
    files = training.checkpoints_kept + 1
    memory = _compute_trainer_bytes(config, capacity) + runners * _compute_env_runner_bytes(config)
    return [
        Need("CPUs", cpus, capacity.cpus, "", f"{runners} env runners, {share or 'a share'} each; the trainer takes 1")
        if runners
        else Need("CPUs", 1.0, capacity.cpus, "", "the trainer, which samples itself"),
        Need(
            "memory",
            memory / _GIB,
            capacity.memory_bytes / _GIB,
            "GiB",
            (f"{runners} x {_compute_env_runner_bytes(config) / _MIB:,.0f} MiB, " if runners else "")
            + "replay, learner, Ray"
            + (f", {capacity.judges} processes that judge" if capacity.judges else ""),
        ),
        Need(
            "disk",
            files * checkpoint / _GIB,
            capacity.disk_bytes / _GIB,
            "GiB",
            f"{files} checkpoints of {checkpoint / _MIB:,.0f} MiB, the one being written included",
        ),
    ]


def count_fitting_env_runners(config: SprintConfig, capacity: Capacity) -> int:
    """How many env runners of these settings there are CPUs and memory for, at most as many as are asked for."""
    training = config.training
    by_memory = (capacity.memory_bytes - _compute_trainer_bytes(config, capacity)) // _compute_env_runner_bytes(config)
    share = training.cpus_per_env_runner
    by_cpus = (capacity.cpus + 1e-9) // share if share else training.env_runners
    return int(max(min(by_memory, by_cpus, training.env_runners), 0))


def check_capacity(config: SprintConfig, capacity: Capacity) -> list[Need]:
    """Refuses a run that does not fit.

    Returns:
        Every need.

    Raises:
        ResourceError: one is not met; the message says which settings are.
    """
    needs = compute_needs(config, capacity)
    missing = [need for need in needs if not need.fits]
    if not missing:
        return needs
    words = "; ".join(
        f"{need.name}: {need.needed:.2f} {need.unit} needed ({need.reason}), {need.available:.2f} {need.unit} there"
        for need in missing
    )
    raise ResourceError(f"the run does not fit. {words}. {_suggest(config, capacity, missing[0])}")


def load_capacity(out: Path) -> Capacity:
    """Facts of the cluster that this process is connected to, else of this machine."""
    import ray

    nearest = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
    disk = float(shutil.disk_usage(nearest).free)
    workers = count_workers()
    judges = workers if workers > 1 else 0
    if ray.is_initialized():
        resources = ray.cluster_resources()
        nodes = sum(1 for node in ray.nodes() if node["Alive"])
        memory = resources.get("memory", 0.0) if nodes > 1 else _load_available_memory()
        return Capacity(float(resources.get("CPU", 0.0)), float(memory), disk, judges)
    from gaelp_rl.training.start_up import load_node_cpus

    return Capacity(sum(load_node_cpus()), _load_available_memory(), disk, judges)


def render_needs(needs: list[Need]) -> Table:
    """One row per resource."""
    table = Table(title="before the start", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("resource")
    table.add_column("needed", justify="right", no_wrap=True)
    table.add_column("available", justify="right", no_wrap=True)
    table.add_column("what for")
    for need in needs:
        needed, available = (f"{amount:.2f} {need.unit}".rstrip() for amount in (need.needed, need.available))
        table.add_row(need.name, needed, available, need.reason)
    return table


def run_preflight(config: SprintConfig, console: Console) -> None:
    """Prints what the sprint needs, and refuses one that does not fit.

    Raises:
        ResourceError: it does not fit.
    """
    capacity = load_capacity(config.out)
    console.print(render_needs(compute_needs(config, capacity)))
    check_capacity(config, capacity)


def _compute_env_runner_bytes(config: SprintConfig) -> int:
    return _ENV_RUNNER_BYTES + config.training.worlds_per_env_runner * _WORLD_BYTES


def _compute_trainer_bytes(config: SprintConfig, capacity: Capacity) -> int:
    """Learner, judges, Ray's own processes, and replay; the trainer's own worlds where it samples itself."""
    own_worlds = 0 if config.training.env_runners else config.training.worlds_per_env_runner * _WORLD_BYTES
    replay = compute_replay_bytes(config, config.training.replay_capacity)
    return _TRAINER_BYTES + replay + own_worlds + capacity.judges * _JUDGE_BYTES


def _suggest(config: SprintConfig, capacity: Capacity, need: Need) -> str:
    training = config.training
    if need.name == "disk":
        return "Free space, choose another disk with --out, or lower training.replay_capacity or checkpoints_kept"
    if not training.env_runners:
        return "Lower training.replay_capacity or training.worlds_per_env_runner, or close other programs"
    worlds = training.env_runners * training.worlds_per_env_runner
    same = f"training.env_runners=0 training.worlds_per_env_runner={worlds} steps the same worlds in one process"
    fitting = count_fitting_env_runners(config, capacity)
    return f"training.env_runners={fitting} fits; {same}" if fitting else same[0].upper() + same[1:]


def _load_available_memory() -> float:
    """Bytes that this process and its children may still take: the machine's, or the container's."""
    import psutil

    available = float(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()) != "max":
        return min(available, float(int(text) - int(used.read_text())))
    return available

"""Kills at random moments, and what they cost: the driver of a sprint, and the env runners of a training."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.sprint_folder import SprintRecord
from experiments.sprint_process import CHECKPOINT_EVERY, SprintProcess, list_numbers
from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import CheckpointError
from gaelp_rl.tracking import connect

__all__ = ["Drill", "check_checkpoints", "drill_driver_kills", "drill_runner_kills"]

_LONGEST_RUN_S = 3.0
_LONGEST_RECOVERY_S = 180.0
_LONGEST_COMPARISON_S = 900.0


@dataclass(frozen=True, slots=True)
class Drill:
    """What one kind of fault did.

    Attributes:
        name: the fault.
        trials: how often it was caused.
        seed: of the moments and victims.
        failures: what went wrong, a sentence each.
        recovery_s: seconds until training went on, by trial.
        lost: experience lost, by trial or in all.
        bound: the most that may be lost, in the same way.
        unit: of ``lost`` and ``bound``.
        notes: what else was seen.
    """

    name: str
    trials: int
    seed: int
    failures: list[str]
    recovery_s: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    bound: float = 0.0
    unit: str = ""
    notes: list[str] = field(default_factory=list)


def drill_driver_kills(folder: Path, kills: int, seed: int, on_trial: Callable[[int], None]) -> Drill:
    """SIGKILLs a sprint again and again, resumes it each time, and compares it with one that was never killed.

    After every kill the newest checkpoint has to load, and the resumed process, which compares what it
    restored with the manifest's hashes by itself, has to go on from it. At the end every checkpoint that
    was resumed from has to have the hashes of the uninterrupted run's: weights, optimiser, replay,
    counters and worlds.

    Args:
        folder: for the runs; emptied first.
        kills: how many.
        seed: of their moments.
        on_trial: called with the number of kills so far.
    """
    from gaelp_rl.training.checkpoint import read_part_hashes

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng, out = np.random.default_rng(seed), folder / "killed"
    drill = Drill("driver killed", kills, seed, [], bound=float(CHECKPOINT_EVERY), unit="episodes")
    resumed_from: dict[int, dict[str, str]] = {}
    with contextlib.ExitStack() as processes:
        run = processes.enter_context(SprintProcess(out, resume=False))
        run.wait_until_under_way(-1)
        for kill in range(kills):
            time.sleep(float(rng.uniform(0.0, _LONGEST_RUN_S)))
            run.kill()
            number = list_numbers(run.checkpoints)[-1]
            drill.lost.append(float(_find_reached(folder, out) - number))
            drill.failures.extend(check_checkpoints(run.checkpoints, f"kill {kill}"))
            resumed_from[number] = read_part_hashes(run.checkpoints / f"checkpoint-{number:010d}")
            run = processes.enter_context(SprintProcess(out, resume=True))
            drill.recovery_s.append(_check_resumed(run, number, kill, drill.failures))
            on_trial(kill + 1)
    drill.failures.extend(f"{lost:g} episodes lost" for lost in drill.lost if lost > drill.bound)
    same = _compare_with_uninterrupted(folder, resumed_from, drill.failures)
    drill.notes.append(f"{same} of {len(resumed_from)} checkpoints equal the uninterrupted run's by hash")
    return drill


def drill_runner_kills(kills: int, runners: int, seed: int, on_trial: Callable[[int], None]) -> Drill:
    """SIGKILLs env runners at random moments of a training, the last time all of them at once.

    Args:
        kills: of single runners, besides the last.
        runners: how many sample.
        seed: of moments and victims.
        on_trial: called with the number of kills so far.
    """
    import ray

    settings = ['families=["campaign"]', "training.warmup_steps=384", "training.batch_size=64"]
    settings += [f"training.env_runners={runners}", "training.worlds_per_env_runner=16", f"training.seed={seed}"]
    config = load_config(SprintConfig, None, [*settings, "training.replay_capacity=8000"])
    day = config.training.worlds_per_env_runner * config.training.episode_steps
    trials = kills + runners
    drill = Drill("env runner killed", trials, seed, [], bound=float(trials * day), unit="env steps")
    ray.init(
        address="local",
        num_cpus=runners + 1,
        include_dashboard=False,
        object_store_memory=200 * 2**20,
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        _kill_runners(config, kills, np.random.default_rng(seed), drill, on_trial)
    finally:
        ray.shutdown()
    if drill.lost[0] > drill.bound:
        drill.failures.append(f"{drill.lost[0]:g} env steps lost")
    return drill


def _check_resumed(run: SprintProcess, number: int, kill: int, failures: list[str]) -> float:
    """Seconds until it went on, which has to be from that checkpoint and in its worlds."""
    went_on, has_worlds, seconds = run.wait_until_resumed()
    if went_on != number or not has_worlds:
        failures.append(f"kill {kill}: went on at {went_on} of {number}, in the same worlds: {has_worlds}")
    return seconds


def _kill_runners(
    config: SprintConfig, kills: int, rng: np.random.Generator, drill: Drill, on_trial: Callable[[int], None]
) -> None:
    from gaelp_rl.training.setup import make_algorithm_config

    training = make_training_config(config)
    algorithm: Any = make_algorithm_config(training, ENV_NAME, make_env_creator(config)).build_algo()
    try:
        algorithm.train()
        seen = set(_ask(algorithm, lambda runner: runner.generation))
        dead = 0
        for kill in range(kills + 1):
            pids = _ask(algorithm, _find_pid)
            victims = pids if kill == kills else [int(rng.choice(pids))]
            killer = threading.Timer(float(rng.uniform(0.0, 1.0)), _kill_all, [victims])
            killer.start()
            killed_s = time.monotonic()
            dead += len(victims)
            while algorithm.env_runner_restarts < dead and time.monotonic() - killed_s < _LONGEST_RECOVERY_S:
                algorithm.train()
            killer.join()
            drill.recovery_s.append(time.monotonic() - killed_s)
            drill.failures.extend(_check_successors(algorithm, kill, dead, len(victims), seen))
            on_trial(dead)
        drill.lost.append(float(algorithm.lost_env_steps))
        drill.notes.append(
            f"{algorithm.env_runner_restarts} restarts counted; {algorithm.env_steps:,} steps trained on"
        )
    finally:
        algorithm.stop()


def _check_successors(algorithm: Any, kill: int, dead: int, victims: int, seen: set[int]) -> list[str]:
    """New runners: counted, of generations of their own, with the learner's weights after the next iteration."""
    from gaelp_rl.training.export import read_actor_weights

    failures = []
    if algorithm.env_runner_restarts != dead:
        failures.append(f"kill {kill}: {algorithm.env_runner_restarts} restarts counted after {dead} deaths")
    algorithm.train()
    fresh = set(_ask(algorithm, lambda runner: runner.generation)) - seen
    if len(fresh) != victims:
        failures.append(f"kill {kill}: {len(fresh)} new generations after {victims} deaths")
    seen |= fresh
    learner = algorithm.learner_group.foreach_learner(lambda one: read_actor_weights(one.module["default_policy"]))
    weights = next(iter(learner)).get()[0][0]
    held = _ask(algorithm, lambda runner: runner.policy.layers[0][0])
    stale = sum(not np.array_equal(one, weights) for one in held)
    return [*failures, f"kill {kill}: {stale} env runners have old weights"] if stale else failures


def _ask(algorithm: Any, question: Callable[[Any], Any]) -> list[Any]:
    return list(algorithm.env_runner_group.foreach_env_runner(question, local_env_runner=False))


def _find_pid(_runner: Any) -> int:
    return os.getpid()


def _kill_all(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def check_checkpoints(checkpoints: Path, when: str) -> list[str]:
    """Loads every checkpoint in a folder; returns what went wrong, a sentence each, with ``when`` before it."""
    from gaelp_rl.training.checkpoint import list_checkpoints, load_checkpoint

    failures = []
    for path in list_checkpoints(checkpoints):
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            failures.append(f"{when}: {error}")
    return failures


def _find_reached(folder: Path, out: Path) -> int:
    """Episodes of the newest iteration that the run recorded in MLflow, which writes every one at once here."""
    tracking = folder / f"{out.name}-mlflow"
    config = TrackingConfig(database=tracking / "mlflow.db", artifact_root=tracking / "artifacts")
    history = connect(config).get_metric_history(SprintRecord.load(out / "run.json").run_id, "train/episodes")
    return max((int(metric.step) for metric in history), default=0)


def _compare_with_uninterrupted(folder: Path, resumed_from: dict[int, dict[str, str]], failures: list[str]) -> int:
    """How many of the checkpoints equal those of a run of the same settings that nobody killed."""
    from gaelp_rl.training.checkpoint import list_checkpoints, read_part_hashes

    hashes: dict[int, dict[str, str]] = {}

    def has_all(run: SprintProcess) -> bool:
        for path in list_checkpoints(run.checkpoints):
            number = int(path.name.rsplit("-", 1)[1])
            if number in resumed_from and number not in hashes:
                hashes[number] = read_part_hashes(path)
        return len(hashes) == len(resumed_from)

    with SprintProcess(
        folder / "uninterrupted", resume=False, overrides=("training.checkpoints_kept=64",)
    ) as uninterrupted:
        uninterrupted.wait_for(
            lambda: has_all(uninterrupted), "the checkpoints of the killed run", timeout_s=_LONGEST_COMPARISON_S
        )
    different = [number for number, wanted in resumed_from.items() if hashes[number] != wanted]
    failures.extend(f"checkpoint {number} is not the uninterrupted run's" for number in different)
    return len(resumed_from) - len(different)

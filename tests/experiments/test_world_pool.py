"""Side by side is the same as one after another, to the last bit; a worker's death is said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from experiments.candidates import ScaledNetwork
from experiments.judge import judge, load_worlds
from experiments.planners import TRUTH_INFORMED, NamedPlanner, make_comparator_planner, resolve_planner
from experiments.validation import Validator
from experiments.world_pool import Simulation, WorldPool, count_workers
from gaelp_rl.config.market import load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.errors import ResourceError
from gaelp_rl.features.actions import ACTION_SIZE
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.policy import MlpNetwork

FAMILY = load_family("campaign").model_copy(update={"days": 2})
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
NAMES = (*COMPARATORS, TRUTH_INFORMED)


def _die(family):
    os._exit(3)


def _fail(family):
    msg = "no such controller"
    raise ResourceError(msg)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorldPool]:
    with WorldPool(2, worth_starting=0) as two:
        yield two


def make_network(seed=0):
    rng = np.random.default_rng(seed)
    sizes = (OBSERVATION_SCHEMA.size, 16, ACTION_SIZE)
    weights = [rng.normal(0.0, 0.3, shape).astype(np.float32) for shape in pairwise(sizes)]
    return MlpNetwork(tuple(weights), tuple(np.zeros(width, np.float32) for width in sizes[1:]))


@pytest.mark.integration
def test_pool__gives_the_same_books_to_the_last_bit_and_in_order(pool):
    worlds = load_worlds(FAMILY, "validation", 50, 6)
    planners = [resolve_planner(name) for name in NAMES]
    seen: list[tuple[int, str]] = []
    apart = judge(planners, worlds, lambda hours, name: seen.append((hours, name)), pool)
    for here, there in zip(judge(planners, worlds), apart, strict=True):
        for field in fields(here):
            np.testing.assert_array_equal(getattr(here, field.name), getattr(there, field.name))
    assert [hours for hours, _ in seen] == [48 * (i + 1) for i in range(len(NAMES))]
    assert {name for _, name in seen} == set(NAMES)


@pytest.mark.integration
def test_validation__is_the_same_side_by_side(pool):
    config = SprintConfig(validation_worlds=8)
    source = ScaledNetwork(make_network(), 0.5)
    assert Validator(config, pool=pool).validate(source) == Validator(config).validate(source)


@pytest.mark.integration
def test_workers__multiply_on_one_thread_and_the_environment_stays(pool, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    pool.run([Simulation(resolve_planner(name), FAMILY, "validation", 0, 2) for name in NAMES])
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    pool.run([Simulation(resolve_planner(name), FAMILY, "validation", 0, 2) for name in NAMES])
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.integration
def test_pool__says_that_a_worker_died_and_can_go_on():
    good = make_comparator_planner("even-split")
    with WorldPool(2, worth_starting=0) as pool:
        with pytest.raises(ResourceError, match="died"):
            pool.run([Simulation(NamedPlanner("bad", _die), FAMILY, "validation", 0, 2)] * 2)
        assert len(pool.run([Simulation(good, FAMILY, "validation", 0, 2)] * 2)) == 2


@pytest.mark.integration
def test_workers__die_with_a_parent_that_is_killed(tmp_path):
    program = tmp_path / "parent.py"
    program.write_text(
        "import time\n"
        "from experiments.planners import make_comparator_planner\n"
        "from experiments.world_pool import Simulation, WorldPool\n"
        "from gaelp_rl.config.market import load_family\n"
        "if __name__ == '__main__':\n"
        "    pool = WorldPool(2, worth_starting=0)\n"
        "    one = Simulation(make_comparator_planner('even-split'), load_family('campaign'), 'validation', 0, 2)\n"
        "    pool.run([one, one])\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        workers = [
            child for child in psutil.Process(parent.pid).children() if "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(workers) == 2
        parent.kill()
    _, alive = psutil.wait_procs(workers, timeout=20.0)
    assert not alive


@pytest.mark.integration
def test_pool__passes_on_what_a_planner_says(pool):
    with pytest.raises(ResourceError, match="no such controller"):
        pool.run([Simulation(NamedPlanner("bad", _fail), FAMILY, "validation", 0, 2)] * 2)


def test_pool__starts_nothing_that_is_not_worth_it():
    good = Simulation(make_comparator_planner("even-split"), FAMILY, "validation", 0, 2)
    with WorldPool(2, worth_starting=0) as several, WorldPool(1, worth_starting=0) as one, WorldPool(2) as usual:
        assert len(several.run([good])) == 1
        assert len(one.run([good, good])) == 2
        assert len(usual.run([good, good])) == 2
        assert several._executor is one._executor is usual._executor is None
    assert 1 <= count_workers() <= 8

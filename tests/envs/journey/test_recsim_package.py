"""The package loads without what it declares, and leaves the process as it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from numpy.random.mtrand import get_state, normal, random_sample, seed, set_state

from envs.journey import recsim_package
from envs.journey.recsim_package import lend_random_stream, load_recsim
from gaelp_rl.errors import ResourceError

STAND_INS = ("gym", "gym.spaces", "gin.tf")


def test_load__returns_the_same_modules_and_no_stand_in() -> None:
    before = {name: sys.modules.get(name) for name in STAND_INS}
    recsim = load_recsim()
    assert load_recsim() is recsim
    assert {name: sys.modules.get(name) for name in STAND_INS} == before
    assert recsim.choice_model is sys.modules["recsim.choice_model"]


@pytest.mark.integration
def test_load__happens_on_request_only_and_never_with_tensorflow() -> None:
    script = (
        "import sys; from envs.journey.recsim_package import load_recsim\n"
        "assert not any(name.split('.')[0] in {'recsim', 'gym', 'gin'} for name in sys.modules)\n"
        "load_recsim()\n"
        "assert not {'gym', 'gym.spaces', 'gin.tf', 'tensorflow', 'dopamine'} & set(sys.modules)\n"
        "assert 'recsim.simulator.environment' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_load__says_how_to_install_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recsim_package, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match=r"not installed: run `make setup`"):
        recsim_package._load_once.__wrapped__()


def test_load__names_a_missing_dependency_and_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-loaded package would make the next attempt fail for another reason."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in {"recsim", "gym", "gin"}}

    def fail() -> recsim_package.RecSim:
        assert sys.modules["gym"].__name__ == "gymnasium"
        sys.modules["recsim.half_loaded"] = ModuleType("recsim.half_loaded")
        raise ModuleNotFoundError(name="gin")

    monkeypatch.setattr(recsim_package, "_import_modules", fail)
    with pytest.raises(ResourceError, match=r"'gin', which it imports, is not: run `make setup`"):
        recsim_package._load_once.__wrapped__()
    after = {name: module for name, module in sys.modules.items() if name.split(".")[0] in {"recsim", "gym", "gin"}}
    assert after == before


@pytest.fixture
def global_stream() -> Iterator[np.random.RandomState]:
    """NumPy's global stream with a normal in its cache, and an independent copy of it."""
    saved, copy = get_state(), np.random.RandomState(5)
    seed(5)
    np.testing.assert_array_equal(normal(size=3), copy.normal(size=3))
    yield copy
    set_state(saved)


def test_lending__draws_from_the_lent_stream_and_gives_the_global_one_back(global_stream) -> None:
    """Also the cached normal, which NumPy drops when generators are exchanged."""
    lent, whole = np.random.MT19937(2), np.random.RandomState(np.random.MT19937(2))
    for _ in range(3):
        with lend_random_stream(lent):
            assert random_sample() == whole.random_sample()
    np.testing.assert_array_equal(normal(size=4), global_stream.normal(size=4))


def test_lending__ends_with_an_error_too(global_stream) -> None:
    def fail() -> None:
        with lend_random_stream(np.random.MT19937(1)):
            random_sample()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    np.testing.assert_array_equal(normal(size=4), global_stream.normal(size=4))

"""The one place that loads the ``recsim`` package, and lends it a random stream.

RecSim 0.2.4's core needs neither TensorFlow nor Dopamine nor the old Gym, but its modules import them.
While they load, ``gym`` is ``gymnasium`` (whose spaces RecSim uses through the same calls), ``gin.tf`` is empty
(only ``gin.configurable`` is used), and ``recsim.simulator`` is a package that has not run its own
``__init__``. Afterwards ``gym`` and ``gin.tf`` are what they were before; the modules of ``recsim`` stay, as
after any import.

Source: RecSim 0.2.4 (Apache-2.0), Ie et al. 2019, "RecSim: a configurable simulation platform for
recommender systems".
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
from numpy.random import BitGenerator
from numpy.random.mtrand import get_bit_generator, get_state, set_bit_generator, set_state

from gaelp_rl.errors import ResourceError

__all__ = ["RecSim", "lend_random_stream", "load_recsim"]

_REMEDY = "run `make setup`, or `pip install --no-deps recsim==0.2.4 gin-config absl-py six`"
_loading = threading.Lock()
_lending = threading.RLock()


@dataclass(frozen=True)
class RecSim:
    """The modules of ``recsim`` that are used; their contents have no types.

    Attributes:
        version: of the installed package; ``unknown`` where its metadata are missing.
        choice_model: ``MultinomialLogitChoiceModel`` and its siblings.
        document: ``AbstractDocument``, ``AbstractDocumentSampler``, ``CandidateSet``.
        user: ``AbstractUserState``, ``AbstractUserSampler``, ``AbstractUserModel``, ``AbstractResponse``.
        environment: ``SingleUserEnvironment``, ``MultiUserEnvironment``.
        interest_evolution: the stock environment.
        interest_exploration: the stock environment.
        long_term_satisfaction: the stock environment.
    """

    version: str
    choice_model: Any
    document: Any
    user: Any
    environment: Any
    interest_evolution: Any
    interest_exploration: Any
    long_term_satisfaction: Any


def load_recsim() -> RecSim:
    """Loads ``recsim`` once per process; later calls return the same modules.

    Raises:
        ResourceError: ``recsim``, or a package that its core needs, is not installed.
    """
    with _loading:
        return _load_once()


@contextmanager
def lend_random_stream(stream: BitGenerator) -> Iterator[None]:
    """NumPy's global functions, which RecSim calls, draw from ``stream`` in here; the global stream rests.

    The global generator is given back as it was, a cached normal included, also after an error. Other threads
    that lend wait; one that uses NumPy's global functions meanwhile would draw from ``stream``.

    Args:
        stream: advanced by what is drawn.
    """
    with _lending:
        owner, state = get_bit_generator(), get_state(legacy=False)
        set_bit_generator(stream)
        try:
            yield
        finally:
            set_bit_generator(owner)
            if state["has_gauss"]:
                set_state(state)


@cache
def _load_once() -> RecSim:
    spec = find_spec("recsim")
    if spec is None or not spec.submodule_search_locations:
        msg = f"the package recsim, which simulates the users of this journey, is not installed: {_REMEDY}"
        raise ResourceError(msg)
    before = set(sys.modules)
    stand_ins = {"gym": gymnasium, "gym.spaces": gymnasium.spaces, "gin.tf": ModuleType("gin.tf")}
    if "recsim.simulator" not in sys.modules:
        sys.modules["recsim.simulator"] = _make_bare_package(spec.submodule_search_locations[0], "simulator")
    try:
        with _stand_in(stand_ins):
            return _import_modules()
    except BaseException as error:
        for name in [name for name in sys.modules if name.split(".")[0] == "recsim" and name not in before]:
            del sys.modules[name]
        if isinstance(error, ModuleNotFoundError):
            msg = f"recsim is installed, but {error.name!r}, which it imports, is not: {_REMEDY}"
            raise ResourceError(msg) from error
        raise


def _import_modules() -> RecSim:
    return RecSim(
        version=_find_version(),
        choice_model=import_module("recsim.choice_model"),
        document=import_module("recsim.document"),
        user=import_module("recsim.user"),
        environment=import_module("recsim.simulator.environment"),
        interest_evolution=import_module("recsim.environments.interest_evolution"),
        interest_exploration=import_module("recsim.environments.interest_exploration"),
        long_term_satisfaction=import_module("recsim.environments.long_term_satisfaction"),
    )


def _find_version() -> str:
    try:
        return version("recsim")
    except PackageNotFoundError:
        return "unknown"


def _make_bare_package(folder: str, name: str) -> ModuleType:
    """A package whose modules can be imported, without what its ``__init__`` would import."""
    path = Path(folder) / name
    spec = spec_from_file_location(f"recsim.{name}", path / "__init__.py", submodule_search_locations=[str(path)])
    if spec is None:
        msg = f"recsim has no package {name!r} in {folder}: {_REMEDY}"
        raise ResourceError(msg)
    return module_from_spec(spec)


@contextmanager
def _stand_in(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """``sys.modules`` with these in it, and as before afterwards."""
    hidden = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in hidden.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module

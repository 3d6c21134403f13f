"""AuctionGym's own modules, loaded from a checkout without a trace elsewhere.

Its files import each other under names such as ``Models`` and ``Agent`` and expect their folder on
``sys.path``. Here each file becomes a module with an import function of its own: neither ``sys.path``
nor ``sys.modules`` changes, no compiled file is written beside its sources, and two checkouts can live in one
process. What it imports only to draw, print and count is replaced by stand-ins that do nothing.
"""

from __future__ import annotations

import builtins
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from gaelp_rl.errors import ConfigError, ResourceError

__all__ = ["UPSTREAM_MODULES", "UpstreamModules"]

UPSTREAM_MODULES = ("Agent", "Auction", "AuctionAllocation", "Bidder", "BidderAllocation", "Impression", "Models")
"""The modules of a checkout that hold the simulation; its program's entry point is not needed."""

_FRAMEWORK = "torch"


class _Silence:
    """Takes any attribute, call and two-part unpacking, and does nothing: for plots and scores."""

    def __getattr__(self, name: str) -> _Silence:
        return self

    def __call__(self, *_: object, **__: object) -> _Silence:
        return self

    def __iter__(self) -> Iterator[_Silence]:
        return iter((self, self))


class _Overlay:
    """A namespace with some attributes replaced; all others are the original's.

    Args:
        base: the original.
        replaced: by name.
    """

    def __init__(self, base: object, **replaced: object) -> None:
        self._base = base
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)


class _ReadOnlyLoader(SourceFileLoader):
    """Loads a source file and leaves no compiled copy beside it."""

    def set_data(self, path: str, data: object, *, _mode: int = 0o666) -> None:
        """Writes nothing."""


def _pass_through(items: Iterable[Any], *_: object, **__: object) -> Iterable[Any]:
    return items


def _make_framework_view() -> _Overlay:
    """The framework with its plateau scheduler as AuctionGym knew it: with an argument ``verbose``."""
    try:
        framework = importlib.import_module(_FRAMEWORK)
    except ImportError as error:
        raise ResourceError(f"AuctionGym needs {_FRAMEWORK!r}, which is not installed: {error}") from error
    schedulers = framework.optim.lr_scheduler

    def make_plateau_scheduler(*args: Any, verbose: bool = False, **settings: Any) -> Any:
        del verbose
        return schedulers.ReduceLROnPlateau(*args, **settings)

    optim = _Overlay(framework.optim, lr_scheduler=_Overlay(schedulers, ReduceLROnPlateau=make_plateau_scheduler))
    return _Overlay(framework, optim=optim)


class UpstreamModules:
    """The modules of one checkout, each loaded when first asked for.

    Args:
        path: the checkout's folder, the one that holds ``src``.

    Raises:
        ConfigError: a module's file is not there.
    """

    def __init__(self, path: Path) -> None:
        self._source = path / "src"
        lacking = [name for name in UPSTREAM_MODULES if not (self._source / f"{name}.py").is_file()]
        if lacking:
            files = ", ".join(f"{name}.py" for name in lacking)
            msg = (
                f"{str(path)!r} is no checkout of AuctionGym: src/ lacks {files}. "
                "Clone https://github.com/amzn/auction-gym and name its folder"
            )
            raise ConfigError(msg)
        silence = _Silence()
        self._modules: dict[str, ModuleType] = {}
        self._framework: _Overlay | None = None
        self._stand_ins: dict[str, object] = {
            "matplotlib.pyplot": SimpleNamespace(pyplot=silence),
            "seaborn": silence,
            "sklearn": silence,
            "tqdm": SimpleNamespace(tqdm=_pass_through),
        }

    def load(self, name: str) -> ModuleType:
        """The module of that name, one of ``UPSTREAM_MODULES``.

        Raises:
            ResourceError: a package that it imports is not installed.
        """
        if name not in self._modules:
            self._modules[name] = self._execute(name)
        return self._modules[name]

    def load_framework(self) -> Any:
        """The learning framework as the checkout's modules see it."""
        if self._framework is None:
            self._framework = _make_framework_view()
        return self._framework

    def _execute(self, name: str) -> ModuleType:
        private_name = f"auctiongym_checkout.{name}"
        loader = _ReadOnlyLoader(private_name, str(self._source / f"{name}.py"))
        spec = importlib.util.spec_from_loader(private_name, loader)
        if spec is None:
            raise ConfigError(f"{loader.path!r} cannot be loaded as a Python module")
        module = importlib.util.module_from_spec(spec)
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._make_importer(), "print": _Silence()}
        try:
            loader.exec_module(module)
        except ImportError as error:
            raise ResourceError(f"AuctionGym's {name}.py imports what is not installed: {error}") from error
        return module

    def _make_importer(self) -> Callable[..., object]:
        def import_privately(name: str, *details: Any, **named_details: Any) -> object:
            if name in UPSTREAM_MODULES:
                return self.load(name)
            if name == _FRAMEWORK:
                return self.load_framework()
            stand_in = self._stand_ins.get(name, self._stand_ins.get(name.partition(".")[0]))
            return builtins.__import__(name, *details, **named_details) if stand_in is None else stand_in

        return import_privately

"""Rules that hold for the project as a whole."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gaelp_rl.errors
from gaelp_rl.config import load_config

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("connectors", "deploy", "envs", "experiments", "gaelp_rl")
CONFIG_FILES = sorted((PROJECT / "experiments" / "configs").rglob("*.toml"))


def list_modules() -> list[str]:
    paths = [path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")]
    return sorted(".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__") for path in paths)


def find_source(module: str) -> Path:
    stem = PROJECT.joinpath(*module.split("."))
    return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")


def read_declared_names(module: str) -> list[str] | None:
    """The module's `__all__`, read without running it."""
    for node in ast.parse(find_source(module).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return ast.literal_eval(node.value)
    return None


def read_defined_names(module: str) -> set[str]:
    """Public functions and classes that a module defines."""
    body = ast.parse(find_source(module).read_text(encoding="utf-8")).body
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in body if isinstance(node, kinds) and not node.name.startswith("_")}


@pytest.mark.parametrize("package", PACKAGES)
def test_package__resolves_to_this_checkout(package):
    """The names are generic: another distribution's `envs` would shadow ours silently."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin == str(PROJECT / package / "__init__.py")


@pytest.mark.parametrize("module", list_modules())
def test_module__declares_all_that_it_defines_in_public(module):
    declared = read_declared_names(module)
    defined = read_defined_names(module)
    if declared is None:
        assert not defined, f"{module} needs an __all__ with {sorted(defined)}"
        return
    assert len(declared) == len(set(declared)), f"{module}.__all__ names something twice"
    assert defined <= set(declared), f"{module}.__all__ lacks {sorted(defined - set(declared))}"


@pytest.mark.parametrize("module", [name for name in list_modules() if read_declared_names(name)])
def test_module__holds_every_name_it_declares(module):
    loaded = importlib.import_module(module)
    missing = [name for name in read_declared_names(module) or () if not hasattr(loaded, name)]
    assert not missing


def test_errors__are_drawn_completely_at_the_head_of_their_module():
    drawn = set(re.findall(r"\b[A-Z]\w*Error\b", inspect.getdoc(gaelp_rl.errors) or ""))
    classes = {
        name
        for name, member in inspect.getmembers(gaelp_rl.errors, inspect.isclass)
        if member.__module__ == gaelp_rl.errors.__name__
    }
    assert drawn == classes
    assert classes | {"suggest"} == set(gaelp_rl.errors.__all__)
    assert all(issubclass(getattr(gaelp_rl.errors, name), gaelp_rl.errors.GaelpError) for name in classes)


def test_errors__are_raised_from_one_tree_only():
    """A second exception root would escape the door's handler and show a traceback."""
    strays = [
        f"{module}.{node.name}"
        for module in list_modules()
        if module != "gaelp_rl.errors"
        for node in ast.walk(ast.parse(find_source(module).read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(getattr(base, "id", "").endswith(("Error", "Exception")) for base in node.bases)
    ]
    assert not strays


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.stem)
def test_config_file__loads(path):
    """The file's name up to its first dash says which settings it holds."""
    from gaelp_rl.config.comparators import ComparatorsConfig
    from gaelp_rl.config.evaluation import EvaluationConfig
    from gaelp_rl.config.sprint import SprintConfig
    from gaelp_rl.config.sweep import SweepConfig

    models = {
        "comparators": ComparatorsConfig,
        "evaluate": EvaluationConfig,
        "sprint": SprintConfig,
        "sweep": SweepConfig,
    }
    load_config(models[path.stem.partition("-")[0]], path)


def test_sprint_settings__have_the_keys_that_the_command_line_sets():
    from gaelp_rl.config.sprint import SprintConfig

    settings = load_config(SprintConfig, None, ["training.episodes=7", "training.seed=3", 'out="runs/x"'])
    assert (settings.training.episodes, settings.training.seed, settings.out) == (7, 3, Path("runs/x"))


def test_layers__name_every_package_that_exists():
    """A package that no layer names would be bound by no rule."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(item for item in settings["tool"]["importlinter"]["contracts"] if item["id"] == "layers")
    layered = set(re.findall(r"[a-z_.]+", " ".join(contract["layers"])))
    children = {
        f"{parent}.{info.name}"
        for parent in ("deploy", "gaelp_rl")
        for info in pkgutil.iter_modules([str(PROJECT / parent)])
    }
    assert children | {"connectors", "envs", "experiments"} <= layered


def test_lock__pins_every_dependency_with_a_hash():
    lock = (PROJECT / "requirements" / "lock.txt").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", lock.strip())
    unhashed = [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block]
    assert not unhashed
    assert all(re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+ \\", block) for block in blocks)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [
        *project["dependencies"],
        *(name for extra in extras for name in extra if not name.startswith("gaelp-rl[")),
    ]
    names = {re.match(r"[A-Za-z0-9-]+", line)[0] for line in wanted} - {"torch"}
    assert names <= {re.match(r"[a-z0-9-]+", block)[0] for block in blocks}


def test_repository__keeps_the_rules_about_text():
    """No reference outside the repository, no registry host, no path of one machine, no pickle."""
    command = [sys.executable, "gates/check_text.py", "."]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout

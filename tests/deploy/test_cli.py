from __future__ import annotations

import json
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy import cli, doctor
from deploy.doctor import CheckStatus, Finding
from gaelp_rl.config import load_config
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.errors import ArtifactError

COMMANDS = ("sprint", "evaluate", "benchmark", "doctor", "mlflow", "models", "promote", "rollback", "version")
HEAVY = ("matplotlib", "mlflow", "numba", "numpy", "pandas", "ray", "scipy", "torch")


def run(*arguments: str):
    return CliRunner().invoke(cli.app, list(arguments), prog_name="gaelp", env={"COLUMNS": "200", "TERM": "dumb"})


def replace_job(monkeypatch, module: str, function: str) -> list[tuple]:
    """Puts a stand-in for an experiment where the command will import it; returns its calls."""
    calls: list[tuple] = []
    stand_in = types.ModuleType(module)
    setattr(stand_in, function, lambda *arguments, **options: calls.append((*arguments, *options.values())))
    monkeypatch.setitem(sys.modules, module, stand_in)
    return calls


@pytest.fixture
def sprint_settings(monkeypatch) -> type[StrictModel]:
    """The settings that `gaelp sprint` speaks to, in small."""

    class Training(StrictModel):
        episodes: int = 2000
        seed: int = 0
        batch_size: int = 256

    class SprintConfig(StrictModel):
        training: Training = Training()
        out: Path = Path("runs/sprint")

    stand_in = types.ModuleType("gaelp_rl.config.sprint")
    stand_in.load_sprint_config = lambda path, overrides, resume: load_config(SprintConfig, path, overrides)
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    return SprintConfig


def test_help__answers_at_once_without_the_heavy_packages():
    code = (
        "import sys\nfrom deploy.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as stop:\n    assert stop.code in (0, None)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    started = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    assert result.stdout.strip().endswith("[]")
    assert all(command in result.stdout for command in COMMANDS)
    assert seconds < 5, "a loaded machine gets five times the second that a quiet one needs"


@pytest.mark.parametrize("command", COMMANDS)
def test_help__of_every_command_says_what_it_does(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert result.output.count("\n") > 5


def test_sprint__turns_options_into_settings(monkeypatch, sprint_settings):
    calls = replace_job(monkeypatch, "experiments.sprint", "run_sprint")
    arguments = [
        "--episodes",
        "7",
        "--seed",
        "3",
        "--out",
        "runs/a b",
        "--set",
        "training.seed=9",
        "--resume",
        "latest",
    ]
    assert run("sprint", *arguments).exit_code == 0
    [(settings, resume)] = calls
    assert (settings.training.episodes, settings.training.seed, settings.out) == (7, 3, Path("runs/a b"))
    assert resume == "latest"


def test_sprint__takes_its_defaults_from_the_settings(monkeypatch, sprint_settings):
    calls = replace_job(monkeypatch, "experiments.sprint", "run_sprint")
    assert run("sprint").exit_code == 0
    assert calls == [(sprint_settings(), None)]


def test_sprint__refuses_an_unknown_setting_with_exit_code_2(monkeypatch, sprint_settings):
    calls = replace_job(monkeypatch, "experiments.sprint", "run_sprint")
    result = run("sprint", "--set", "training.batch_sise=3")
    assert (result.exit_code, calls) == (2, [])
    assert "gaelp: the settings cannot be used:" in result.stderr
    assert "training.batch_sise: unknown key. Did you mean 'batch_size'" in result.stderr
    assert "Traceback" not in result.output


def test_evaluate__has_the_documented_defaults(monkeypatch):
    calls = replace_job(monkeypatch, "experiments.evaluate", "run_evaluate")
    assert run("evaluate").exit_code == 0
    assert calls == [([], ["campaign"], 200, 0, None, Path("runs/evaluate"), "aggregate")]


def test_evaluate__passes_repeated_options_on(monkeypatch):
    calls = replace_job(monkeypatch, "experiments.evaluate", "run_evaluate")
    repeated = ["--policy", "a", "--policy", "b", "--family", "wide", "--family", "mild"]
    arguments = [*repeated, "--worlds", "9", "--seed", "2", "--json", "s.json", "--out", "o", "--fidelity", "auction"]
    assert run("evaluate", *arguments).exit_code == 0
    assert calls == [(["a", "b"], ["wide", "mild"], 9, 2, Path("s.json"), Path("o"), "auction")]


def test_simulator_commands__pass_their_options_on(monkeypatch):
    calls = replace_job(monkeypatch, "experiments.calibrate", "run_calibrate")
    options = ["--plans", "p.csv", "--out", "m.toml", "--seed", "3", "--time-zone", "America/New_York"]
    assert run("calibrate", "r.csv", *options).exit_code == 0
    assert calls == [(Path("r.csv"), Path("p.csv"), Path("m.toml"), "calibrated", 3, "America/New_York")]
    calls = replace_job(monkeypatch, "experiments.record", "run_record")
    assert run("record", "--family", "wide", "--seed", "5", "--budget", "900").exit_code == 0
    record = Path("runs/record")
    assert calls == [("wide", 5, 900.0, record / "reports.csv", record / "plans.csv")]
    calls = replace_job(monkeypatch, "experiments.auctiongym", "run_auctiongym_job")
    assert run("auctiongym", "c.json", "--seeds", "4", "--out", "o.csv", "--compat").exit_code == 0
    assert calls == [(Path("c.json"), 4, Path("o.csv"), True, "own")]
    calls = replace_job(monkeypatch, "experiments.journey", "run_journey")
    options = ["--model", "ads", "--choice", "mnl", "--users", "9", "--backend", "recsim", "--out", "s.csv"]
    assert run("journey", *options).exit_code == 0
    assert calls == [("ads", "mnl", "random", 9, 0, "recsim", Path("s.csv"))]


def test_benchmark__runs_all_or_the_one_named(monkeypatch):
    calls = replace_job(monkeypatch, "experiments.benchmark", "run_benchmark")
    assert [run("benchmark").exit_code, run("benchmark", "env").exit_code] == [0, 0]
    assert calls == [("all",), ("env",)]


def test_door__shows_the_message_and_keeps_the_traceback_for_debug(monkeypatch):
    def refuse(name: str) -> None:
        raise ArtifactError(f"{name} [is] corrupt")

    replace_job(monkeypatch, "experiments.benchmark", "run_benchmark")
    monkeypatch.setattr(sys.modules["experiments.benchmark"], "run_benchmark", refuse)
    result = run("benchmark", "env")
    assert (result.exit_code, result.stderr) == (2, "gaelp: env [is] corrupt\n")
    assert isinstance(run("--debug", "benchmark", "env").exception, ArtifactError)


@pytest.mark.parametrize(("status", "code"), [(CheckStatus.OK, 0), (CheckStatus.WARN, 0), (CheckStatus.FAIL, 1)])
def test_doctor__exits_1_only_when_a_check_fails(monkeypatch, status, code):
    finding = Finding("disk", status, "4.0 GiB [free]", "free some")
    monkeypatch.setattr(doctor, "check_machine", lambda machine: [finding])
    result = run("doctor", "--json")
    assert result.exit_code == code
    assert json.loads(result.stdout) == [
        {"name": "disk", "status": status.value, "detail": "4.0 GiB [free]", "fix": "free some"}
    ]
    rendered = run("doctor")
    assert rendered.exit_code == code
    assert all(words in rendered.stdout for words in (status.value, "4.0 GiB [free]", "free some"))


def test_doctor__finds_the_lock_of_this_checkout():
    findings = {row["name"]: row for row in json.loads(run("doctor", "--json").stdout)}
    assert findings["versions"]["status"] in {"ok", "fail"}
    assert findings["python"]["status"] == "ok"


def test_version__prints_the_version_of_the_package():
    assert run("version").stdout == "gaelp-rl 0.1.0\n"

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from deploy import doctor
from deploy.doctor import CheckStatus, Machine, check_machine, load_locked_versions, load_machine

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
TOKEN = Path("home/.ray/auth_token")
SOUND = Machine(
    python=(3, 11),
    cores=2,
    memory_gib=6.0,
    disk_gib=5.0,
    shared_memory_gib=0.5,
    runs_error="",
    installed={"ray": "2.60.0", "torch": "2.13.0+cpu"},
    locked={"ray": "2.60.0", "torch": "2.13.0"},
)


def find(machine: Machine, name: str) -> doctor.Finding:
    return {finding.name: finding for finding in check_machine(machine)}[name]


def test_check_machine__finds_nothing_on_a_sound_machine():
    findings = check_machine(SOUND)
    assert {finding.status for finding in findings} == {OK}
    assert not any(finding.fix for finding in findings)


@pytest.mark.parametrize(
    ("name", "change", "status", "words"),
    [
        ("python", {"python": (3, 12)}, FAIL, "3.12"),
        ("cores", {"cores": 1.5}, WARN, "1.5"),
        ("memory", {"memory_gib": 5.9}, FAIL, "5.9"),
        ("disk", {"disk_gib": 4.9}, FAIL, "4.9"),
        ("shared memory", {"shared_memory_gib": 0.0625}, WARN, "0.06"),
        ("shared memory", {"shared_memory_gib": None}, OK, "temporary files"),
        ("runs folder", {"runs_error": "runs: Permission denied"}, FAIL, "Permission denied"),
        ("versions", {"installed": {"torch": "2.13.0"}}, FAIL, "ray missing (lock: 2.60.0)"),
        ("versions", {"installed": {"ray": "2.59.0", "torch": "2.13.0"}}, FAIL, "ray 2.59.0 (lock: 2.60.0)"),
        ("versions", {"locked": {}}, WARN, "no lock"),
        ("versions", {"locked": {str(index): "1" for index in range(7)}}, FAIL, "and 2 more"),
        ("ray auth", {"ray_auth_mode": "disabled"}, WARN, "disabled"),
        ("ray auth", {"ray_auth_mode": "disabled", "ray_address": "10.0.0.1:6379"}, FAIL, "disabled"),
        ("ray auth", {"ray_address": "10.0.0.1:6379"}, FAIL, "10.0.0.1"),
        ("ray auth", {"ray_address": "10.0.0.1:6379", "ray_auth_mode": "token"}, OK, "token"),
        ("ray auth", {"ray_address": "local"}, OK, "token"),
        ("ray auth", {"ray_token_file": TOKEN, "ray_token_mode": 0o644}, WARN, "0644"),
        ("ray auth", {"ray_token_file": TOKEN, "ray_token_mode": 0o600}, OK, "token"),
    ],
)
def test_check_machine__judges_each_fact_alone(name, change, status, words):
    machine = dataclasses.replace(SOUND, **change)
    finding = find(machine, name)
    assert (finding.status, words in finding.detail) == (status, True), finding
    assert bool(finding.fix) is (status is not OK)
    others = [item for item in check_machine(machine) if item.name != name]
    assert {item.status for item in others} == {OK}


def test_load_locked_versions__reads_locks_and_pyproject_pins(tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text('Ray_Core[rllib]==1 \\\n    --hash=sha256:00\nruff==0.17.6 ; sys_platform == "linux"\nnumpy>=2\n')
    project = tmp_path / "pyproject.toml"
    project.write_text('dependencies = [\n  "torch==2.13.0",\n  "numpy",\n]\n')
    pins = load_locked_versions([lock, project, tmp_path / "missing.txt"])
    assert pins == {"ruff": "0.17.6", "torch": "2.13.0", "ray-core": "1"}


def test_load_machine__reads_this_machine(tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o640)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    machine = load_machine(tmp_path / "runs" / "deeper", tmp_path / "lock.txt", tmp_path / "pyproject.toml")
    assert machine.runs_error == ""
    assert machine.cores > 0
    assert machine.memory_gib > 0
    assert machine.disk_gib > 0
    assert (machine.ray_token_file, machine.ray_token_mode) == (token, 0o640)
    assert (machine.ray_auth_mode, machine.ray_address) == ("token", "local")
    assert machine.installed["numpy"]
    assert not (tmp_path / "runs").exists()


def test_load_machine__says_why_a_folder_cannot_be_written(tmp_path, monkeypatch):
    def refuse(dir: Path) -> None:  # noqa: A002
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    machine = load_machine(tmp_path, tmp_path / "lock.txt", tmp_path / "pyproject.toml")
    assert machine.runs_error == f"{tmp_path}: Permission denied"

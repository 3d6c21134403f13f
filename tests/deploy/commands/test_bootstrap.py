"""``gaelp bootstrap``: what it refuses, before it has written anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app


def _run(*arguments: str):
    return CliRunner().invoke(app, ["bootstrap", *arguments], prog_name="gaelp", env={"COLUMNS": "200"})


def test_bootstrap__help_names_every_file_that_it_reads() -> None:
    printed = _run("--help").output
    for words in ("--reports", "--plans", "--ga4", "without, no logged actions", "--sprint-config", "Examples"):
        assert words in printed


@pytest.mark.parametrize(
    ("reports", "more", "says"),
    [
        (None, (), "no file .*reports.csv"),
        ("account,channel\n", (), "no usable row"),
        (None, ("--set", "rollout_worlds=0"), "pass --plans"),
        (None, ("--set", "updats=3"), "updates"),
        (None, ("--set", "algorithm=cql"), "algorithm"),
    ],
)
def test_bootstrap__wrong_input_is_named(reports: str | None, more: tuple[str, ...], says: str, tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    if reports is not None:
        path.write_text(reports, encoding="utf-8")
    result = _run("--reports", str(path), "--out", str(tmp_path / "out"), *more)
    assert result.exit_code == 2
    assert re.search(says, " ".join(result.output.split())), result.output
    assert not (tmp_path / "out").exists()

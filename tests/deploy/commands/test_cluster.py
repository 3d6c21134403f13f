"""`gaelp cluster` and `gaelp submit` where no cluster runs; with one they are in tests/integration."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from deploy import cli


def run(*arguments: str):
    return CliRunner().invoke(cli.app, list(arguments), prog_name="gaelp", env={"COLUMNS": "200", "TERM": "dumb"})


def test_status__without_a_cluster_says_how_to_start_one(tmp_path):
    result = run("cluster", "status", "--folder", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "gaelp cluster up" in result.output
    result = run("cluster", "status", "--json", "--folder", str(tmp_path / "none"))
    assert json.loads(result.output) == {"health": "down", "detail": "start it with `gaelp cluster up`"}
    assert not (tmp_path / "none").exists(), "looking writes nothing"
    result = run("cluster", "down", "--folder", str(tmp_path / "none"))
    assert (result.exit_code, "no cluster runs" in result.output) == (0, True)


def test_submit__without_a_cluster_says_how_to_start_one(tmp_path):
    result = run("submit", "--episodes", "8", "--folder", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "gaelp cluster up" in result.output

"""The read benchmark reads everything, and says so where a platform's spend is not the market's."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from experiments import benchmark_read
from experiments.benchmark_read import run_read_benchmark
from gaelp_rl.errors import ConnectorError


def test_read_benchmark__prints_rows_and_quota(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    reports = run_read_benchmark(tmp_path, console, campaigns=2, hours=24, plaintext=True)
    assert all(part.error is None for part in reports.platforms.values())
    assert "15,000 operations a day" in console.file.getvalue()
    assert json.loads((tmp_path / "read.json").read_text())["seconds"] > 0


def test_read_benchmark__fails_loudly_when_a_row_is_missing(tmp_path, monkeypatch):
    fetch_all = benchmark_read.fetch_all

    def forget_a_row(connectors, window):
        reports = fetch_all(connectors, window)
        part = reports.platforms["tiktok"]
        short = replace(part, parsed=replace(part.parsed, accepted=part.parsed.accepted[1:]))
        return replace(reports, platforms={**reports.platforms, "tiktok": short})

    monkeypatch.setattr(benchmark_read, "fetch_all", forget_a_row)
    with pytest.raises(ConnectorError, match=r"tiktok reports .* the market spent"):
        run_read_benchmark(tmp_path, Console(file=io.StringIO()), campaigns=1, hours=24, plaintext=True)

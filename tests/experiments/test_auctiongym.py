"""The job behind ``gaelp auctiongym``: its table, its plot, and what it refuses."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from envs.auction.config import load_auctiongym_config
from envs.auction.metrics import MetricRow
from envs.auction.run import run_auctiongym
from experiments import auctiongym
from experiments.auctiongym import load_upstream, run_auctiongym_job, write_metric_rows
from experiments.auctiongym_figure import make_auctiongym_figure
from gaelp_rl.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[1] / "data" / "auctiongym" / "configs"
SLOTS = CONFIGS / "sp_truthful_oracle_slots3.json"


def make_console() -> Console:
    return Console(width=120, record=True, file=io.StringIO())


def read_table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_run_auctiongym_job__writes_every_figure_so_that_it_reads_back_the_same(tmp_path: Path) -> None:
    out, console = tmp_path / "new" / "results.csv", make_console()
    rows = run_auctiongym_job(SLOTS, 3, out, compat=True, rounds=200, console=console)
    head, *table = read_table(out)
    assert head == ["config", "seed", "iteration", "agent", "metric", "value"]
    assert [(r[0], int(r[1]), int(r[2]), r[3], r[4], float(r[5])) for r in table] == [tuple(row) for row in rows]
    config = load_auctiongym_config(SLOTS).model_copy(update={"rounds_per_iter": 200})
    assert rows == run_auctiongym(config, SLOTS.stem, [0, 1, 2], compat=True)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert sorted(item.name for item in out.parent.iterdir()) == ["results.csv", "results.png"]
    text = console.export_text()
    assert "auction_revenue" in text
    assert "1,200 auctions" in text


def test_run_auctiongym_job__without_compat_puts_right(tmp_path: Path) -> None:
    """Two bidders for up to two slots: without AuctionGym's unfilled slots, more are won."""
    config = CONFIGS / "fp_truthful_oracle_slots2_p2.json"
    wins = {}
    for compat in (True, False):
        rows = run_auctiongym_job(config, 1, tmp_path / "r.csv", compat, rounds=400, console=make_console())
        wins[compat] = next(r.figure for r in rows if r.agent == "__all__" and r.metric == "x_wins")
    assert wins[True] == 400
    assert wins[False] == pytest.approx(600, abs=60)


def test_write_metric_rows__keeps_17_digits(tmp_path: Path) -> None:
    write_metric_rows([MetricRow("c", 1, 2, "A 1", "net_utility", 0.1 + 0.2)], tmp_path / "r.csv")
    assert read_table(tmp_path / "r.csv")[1] == ["c", "1", "2", "A 1", "net_utility", "0.30000000000000004"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("r.txt", None, r"ends in \.csv"), ("r.csv", "hour,spend\n1,2\n", r"another table \('hour,spend'\)")],
)
def test_run_auctiongym_job__spares_what_is_not_its_own(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    out = tmp_path / name
    if content:
        out.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        run_auctiongym_job(SLOTS, 1, out, compat=False, rounds=10, console=make_console())
    assert not out.exists() or out.read_text(encoding="utf-8") == content


def test_run_auctiongym_job__runs_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are those of the adapter, seed by seed."""

    class FakeUpstream:
        def run_seed(self, config: object, name: str, seed: int) -> list[MetricRow]:
            del config
            return [MetricRow(name, seed, i, "__all__", "auction_revenue", 10.0 * seed + i) for i in range(2)]

    monkeypatch.setattr(auctiongym, "load_upstream", FakeUpstream)
    rows = run_auctiongym_job(
        SLOTS, 2, tmp_path / "r.csv", compat=True, rounds=10, console=make_console(), backend="upstream"
    )
    assert [(row.seed, row.iteration, row.figure) for row in rows] == [(0, 0, 0), (0, 1, 1), (1, 0, 10), (1, 1, 11)]


def test_load_upstream__says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAELP_AUCTIONGYM_PATH", raising=False)
    with pytest.raises(ConfigError, match=r"git clone .* and set GAELP_AUCTIONGYM_PATH"):
        load_upstream()


def test_make_auctiongym_figure__draws_means_by_agent() -> None:
    """Two seeds, 1 and 3: the line is at 2, the band one sd (1) either side; an agent with no figure leaves a gap."""
    rows = [
        MetricRow("c", seed, 0, agent, "net_utility", float(figure))
        for agent in ("A 1", "B 2")
        for seed, figure in ((0, 1), (1, 3))
    ] + [MetricRow("c", 0, 0, "A 1", "ctr_bias", float("nan")), MetricRow("c", 0, 0, "__all__", "social_surplus", 5.0)]
    figure = make_auctiongym_figure(rows)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}
    assert list(panels) == ["social_surplus", "ctr_bias", "net_utility"]
    lines = [line.get_ydata().tolist() for line in panels["net_utility"].get_lines()]
    assert lines == [[2.0], [2.0]]
    band = panels["net_utility"].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (1.0, 3.0)


def test_make_auctiongym_figure__names_at_most_a_dozen_agents() -> None:
    rows = [MetricRow("c", 0, 0, f"A {i}", "net_utility", float(i)) for i in range(30)]
    labels = [text.get_text() for text in make_auctiongym_figure(rows).legends[0].get_texts()]
    assert labels == [*(f"A {i}" for i in range(12)), "and 18 more"]

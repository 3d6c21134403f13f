"""``gaelp journey`` end to end: the file, the plot, and what it refuses before any work."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from envs.journey.batched_sessions import simulate_sessions
from envs.journey.statistics import METRICS, SUMMARY_COLUMNS, summarise
from envs.journey.stock_parameters import MODELS, STOCK_CHOICES
from experiments.journey import make_journey_figure, run_journey
from gaelp_rl.errors import ConfigError


def make_recording_console() -> Console:
    return Console(file=io.StringIO(), width=120)


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("model", MODELS)
def test_run__writes_the_statistics_and_a_plot_beside_them(model: str, tmp_path: Path) -> None:
    console, out = make_recording_console(), tmp_path / "new" / "stats.csv"
    run_journey(model, None, "greedy_pctr", 300, 4, "batched", out, console)
    written = read_table(out)
    case = f"{model}_{STOCK_CHOICES[model]}_greedy_pctr"
    assert tuple(written[0]) == SUMMARY_COLUMNS
    assert {row["case"] for row in written} == {case}
    assert [row["metric"] for row in written] == list(METRICS[model])
    expected = summarise(case, simulate_sessions(model, STOCK_CHOICES[model], "greedy_pctr", 300, 4))
    assert [float(row["mean"]) for row in written] == pytest.approx([row.mean for row in expected], rel=1e-5)
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in out.parent.iterdir()) == ["stats.csv", "stats.png"]
    assert str(out) in console.file.getvalue().replace("\n", "")


@pytest.mark.integration
def test_run__goes_through_the_package_too(tmp_path: Path) -> None:
    console, out = make_recording_console(), tmp_path / "stats.csv"
    run_journey("ads", "mnl", "random", 5, 0, "recsim", out, console)
    assert [row["metric"] for row in read_table(out)] == list(METRICS["ads"])


def test_run__says_where_a_choice_changes_nothing(tmp_path: Path) -> None:
    console, tables = make_recording_console(), []
    for choice in ("mnl", "proportional"):
        run_journey("long_term_satisfaction", choice, "random", 20, 0, "batched", tmp_path / f"{choice}.csv", console)
        tables.append([{**row, "case": ""} for row in read_table(tmp_path / f"{choice}.csv")])
    assert "choice 'proportional' changes nothing" in console.file.getvalue()
    assert tables[0] == tables[1]


def test_run__repeats_with_the_same_seed_and_replaces_its_own_file(tmp_path: Path) -> None:
    out, texts = tmp_path / "stats.csv", []
    for seed in (1, 1, 2):
        run_journey("interest_evolution", "mnl", "random", 50, seed, "batched", out, make_recording_console())
        texts.append(out.read_bytes())
    assert texts[0] == texts[1] != texts[2]


def test_figure__draws_click_rates_while_users_are_there() -> None:
    statistics = simulate_sessions("interest_evolution", "mnl", "random", 500, 0)
    figure = make_journey_figure("case", statistics)
    line = figure.axes[0].lines[0]
    alive = statistics.alive_by_step
    np.testing.assert_allclose(line.get_ydata()[:5], statistics.clicks_by_step[:5] / alive[:5])
    assert len(line.get_xdata()) == (alive >= 10).sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "add"}, "Did you mean 'ads'"),
        ({"choice": "logit"}, "choice 'logit' does not exist"),
        ({"policy": "greedy_ctr"}, "Did you mean 'greedy_pctr'"),
        ({"backend": "rescim"}, "Did you mean 'recsim'"),
        ({"users": 0}, "at least 1 user"),
        ({"seed": -1}, "seed 0 or above"),
        ({"out": Path("stats.json")}, "ends in .csv"),
    ],
)
def test_run__refuses_what_does_not_exist(change: dict, message: str, tmp_path: Path) -> None:
    arguments = {"model": "ads", "choice": "mnl", "policy": "random", "users": 10, "seed": 0, "backend": "batched"}
    arguments["out"] = tmp_path / "stats.csv"
    with pytest.raises(ConfigError, match=message):
        run_journey(**{**arguments, **change}, console=make_recording_console())
    assert not list(tmp_path.iterdir())


def test_run__never_replaces_another_table_or_a_folder(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("date,spend\n", encoding="utf-8")
    (tmp_path / "folder.csv").mkdir()
    for out, message in ((other, "holds another table"), (tmp_path / "folder.csv", "is a folder")):
        with pytest.raises(ConfigError, match=message):
            run_journey("ads", None, "random", 10, 0, "batched", out, make_recording_console())
    assert other.read_text(encoding="utf-8") == "date,spend\n"

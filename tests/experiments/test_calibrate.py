"""``gaelp calibrate`` from files to a market that everything loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from envs.market.env import MultiChannelEnv
from experiments.calibrate import run_calibrate
from experiments.report_rows import write_plans, write_report_rows
from gaelp_rl.config.market import load_family
from gaelp_rl.errors import ConfigError, DataError
from tests.gaelp_rl.response.markets import draw_market, make_varied_record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The market's path and what was printed; the file has a bad row and a repeated one."""
    folder = tmp_path_factory.mktemp("calibrate")
    record = make_varied_record(draw_market(11), 11)
    write_report_rows(folder / "reports.csv", record, 0, (6, 72))
    write_plans(folder / "plans.csv", record, 0)
    with (folder / "reports.csv").open("r+", encoding="utf-8") as file:
        lines = file.readlines()
        file.writelines([lines[1], lines[1].replace("google", "gogle")])
    console = Console(record=True, width=160, quiet=False, file=(folder / "printed.txt").open("w", encoding="utf-8"))
    run_calibrate(folder / "reports.csv", folder / "plans.csv", folder / "out" / "shop.toml", "shop", 5, console)
    return folder / "out" / "shop.toml", console.export_text()


@pytest.mark.integration
def test_market__loads_everywhere(run: tuple[Path, str]) -> None:
    family = load_family(run[0])
    assert family.name == "shop"
    assert family.calibration.google != load_family("campaign").calibration.google
    env = MultiChannelEnv(str(run[0]))
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)


@pytest.mark.integration
def test_reading__loses_no_row(run: tuple[Path, str]) -> None:
    printed = run[1]
    assert "+ 1 quarantined + 1 duplicates" in printed
    assert "'gogle' is not a known channel" in printed
    quarantined = (run[0].parent / "shop-quarantined.csv").read_text(encoding="utf-8")
    assert "gogle" in quarantined


@pytest.mark.integration
def test_report__states_every_parameter_and_compares_with_the_market(run: tuple[Path, str]) -> None:
    folder = run[0].parent
    text = (folder / "shop-fit.md").read_text(encoding="utf-8")
    for heading in ("## Observed and simulated", "## Parameters", "## Kept for every account"):
        assert heading in text
    for label in ("google.price_sigma", "meta.device_share[mobile]", "account.delay.mean_hours[slow]"):
        assert f"| {label} |" in text
    assert "kept: not identified: the reports do not split this channel by device" in text
    rows = (folder / "shop-parameters.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 8 + 4 * (5 + 9 + 24 * 3 + 7)
    for channel in ("google", "meta", "tiktok", "microsoft"):
        assert (folder / f"shop-{channel}.png").stat().st_size > 20_000
    assert "google.price_median" in run[1]
    assert "google.device_share[mobile]" not in run[1]


@pytest.mark.parametrize(
    ("out", "name", "zone", "message"),
    [
        ("shop.json", "shop", "UTC", r"ends in \.toml"),
        ("shop.toml", "campaign", "UTC", r"no documented family has \(mild, wide"),
        ("shop.toml", "shop", "Europe/Berln", r"'Europe/Berln' does not exist.*Did you mean 'Europe/Berlin'"),
    ],
)
def test_request__is_checked_before_anything_is_read(
    out: str, name: str, zone: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_calibrate(tmp_path / "none.csv", None, tmp_path / out, name, 0, Console(quiet=True), zone)


def test_empty_file__says_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("account,channel\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"at least 7 days"):
        run_calibrate(tmp_path / "r.csv", None, tmp_path / "m.toml", "m", 0, Console(quiet=True))

"""The families as the documentation states them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gaelp_rl.config.calibration import DEFAULT_CALIBRATION, make_calibration_arrays
from gaelp_rl.config.market import DEFAULT_FAMILY, FAMILIES, FamilyConfig, load_family
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.errors import ConfigError

STOCK = make_calibration_arrays(DEFAULT_CALIBRATION)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "market.md"


def read_table(first_column: str) -> dict[str, dict[str, str]]:
    """The page's table whose first heading is that, by first cell."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    tables = [i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |")]
    rows: dict[str, dict[str, str]] = {}
    for first in tables:
        heading = [cell.strip() for cell in lines[first].strip("|").split("|")]
        for line in lines[first + 2 :]:
            if not line.startswith("|"):
                break
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows.setdefault(cells[0].strip("`"), {}).update(zip(heading, cells, strict=True))
    return rows


def test_page__lists_every_family_with_its_numbers() -> None:
    table = read_table("family")
    assert list(table) == list(FAMILIES)
    for name, row in table.items():
        family = FAMILIES[name]
        stated = [float(row[c]) for c in ("CVR log-sd", "price log-sd", "volume log-sd", "delay scale", "fatigue")]
        assert stated == [
            family.conversion_log_sd,
            family.price_log_sd,
            family.volume_log_sd,
            family.delay_scale,
            family.fatigue_per_exposure,
        ]
        assert row["CPA target"] == f"${family.cpa_target_micros // MICROS}"
    shifted = FAMILIES["shifted"]
    told = f"prices x {shifted.price_factor}, CVR x {shifted.conversion_factor}"
    assert f"{told}, one channel dark for {shifted.outage_hours} hours" in table["shifted"]["also"]


def test_page__lists_every_channels_calibration_and_reporting() -> None:
    table = read_table("channel")
    assert list(table) == list(CHANNELS)
    for c, channel in enumerate(CHANNELS):
        row, rules = table[channel], PLATFORM_RULES[channel]
        assert row["CPC competing bid"] == f"${STOCK.price_median[c]:.2f}"
        assert row["CVR"] == f"{100 * STOCK.conversion_rate[c]:.1f} %"
        assert row["CTR"] == f"{100 * STOCK.ctr[c]:.1f} %"
        assert row["clicks for sale a day"] == f"{STOCK.click_volume_per_day[c]:.0f}"
        assert row["price"] == ("first" if STOCK.first_price[c] else "second")
        assert row["clicks and spend"] == f"{rules.lag_hours} h"
        assert row["conversions"].startswith(f"+ {rules.conversion_lag_hours} h")
        assert row["device split"] == ("hourly" if rules.device_split else "never")
        share = "never" if rules.share_hour is None else f"yesterday's at {rules.share_hour:02d}:00"
        assert row["impression share"] == share
        assert row["budget over-delivery"] == f"{rules.over_delivery:g}x"
        assert row["edits"].startswith("2 a day, 20 %" if rules.has_learning_phase else "any hour")
        assert row["edits"].endswith("an hour late") == (rules.plan_delay_hours == 1)


def test_binding__is_campaign_with_another_target() -> None:
    campaign = FAMILIES["campaign"]
    twin = FAMILIES["binding"].model_copy(update={"name": "campaign", "cpa_target_micros": campaign.cpa_target_micros})
    assert twin == campaign


def test_default_family__exists() -> None:
    assert load_family(DEFAULT_FAMILY) is FAMILIES[DEFAULT_FAMILY]


@pytest.mark.parametrize(("name", "hint"), [("campain", "Did you mean 'campaign'"), ("?", "Known: binding, campaign")])
def test_load_family__unknown_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"does not exist.*{hint}"):
        load_family(name)


@pytest.mark.parametrize(
    "bad", [{"days": 0}, {"days": 29}, {"conversion_log_sd": -0.1}, {"drift_persistence": 1.0}, {"no_such_field": 1}]
)
def test_family__refuses_what_is_out_of_range_or_unknown(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        FamilyConfig(name="bad", **bad)

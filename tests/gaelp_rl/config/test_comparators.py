"""The file of tuned comparators: complete, usable, and read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.tune_comparators import COMPARATORS_FILE, TUNED_FAMILIES
from gaelp_rl.config.comparators import ComparatorsConfig
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.market import load_family
from gaelp_rl.control.registry import COMPARATORS, make_comparator
from gaelp_rl.errors import ConfigError


@pytest.fixture(scope="module")
def tuned() -> ComparatorsConfig:
    return load_config(ComparatorsConfig, COMPARATORS_FILE)


def test_comparators_file__tunes_every_comparator_on_every_tuned_family(tuned: ComparatorsConfig) -> None:
    assert set(tuned.families) == set(TUNED_FAMILIES)
    for family, rows in tuned.families.items():
        assert set(rows) == set(COMPARATORS), family


def test_comparators_file__every_entry_makes_its_comparator(tuned: ComparatorsConfig) -> None:
    for family in tuned.families:
        for name in COMPARATORS:
            assert make_comparator(name, load_family(family), tuned.find_params(family, name)).name == name


def test_find_params__a_family_nobody_tuned_on_takes_the_default_s(tuned: ComparatorsConfig) -> None:
    """Nobody knows beforehand that the market will shift."""
    assert tuned.find_params("shifted", "dual-descent") == tuned.find_params("campaign", "dual-descent")


def test_find_params__is_none_where_the_defaults_hold() -> None:
    assert ComparatorsConfig().find_params("campaign", "reference") is None


def test_comparators_config__refuses_a_family_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "comparators.toml"
    path.write_text("[families.wild]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="'wild' does not exist"):
        load_config(ComparatorsConfig, path)

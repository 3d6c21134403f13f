"""A market's calibration as data: defaults, partial tables, rules, arrays, and the way through TOML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs.market.env import MultiChannelEnv
from envs.market.exogenous import make_tables
from envs.market.market import BatchedMarket
from envs.market.noise import make_world_keys
from experiments.planners import load_reference_params, make_comparator_planner, resolve_planner
from gaelp_rl.config.calibration import (
    DEFAULT_CALIBRATION,
    ChannelCalibration,
    MarketCalibration,
    make_calibration_arrays,
)
from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.market import DEFAULT_FAMILY, FAMILIES, FamilyConfig, load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.errors import ConfigError

PARTIAL = """
name = "shop"
price_log_sd = 0.1
[calibration.meta]
ctr = 0.04
audience_size = 0
device_share = [0.5, 0.3, 0.2]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "shop.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_calibration__has_one_table_per_channel() -> None:
    assert tuple(MarketCalibration.model_fields) == CHANNELS


def test_arrays__have_the_channels_and_devices_as_axes() -> None:
    arrays = make_calibration_arrays(DEFAULT_CALIBRATION)
    for name, array in arrays._asdict().items():
        trailing = {"device": (NUM_DEVICES,), "hour": (24,), "weekday": (7,)}.get(name.split("_")[0], ())
        assert array.shape == (NUM_CHANNELS, *trailing), name
        assert array[2].tolist() == list(np.atleast_1d(getattr(DEFAULT_CALIBRATION.tiktok, name))) or trailing == ()
    assert np.isinf(arrays.audience_size).tolist() == [True, False, False, True]
    assert not np.shares_memory(arrays.ctr, make_calibration_arrays(DEFAULT_CALIBRATION).ctr)


def test_partial_table__keeps_the_channel_s_other_defaults(tmp_path: Path) -> None:
    family = load_family(write(tmp_path, PARTIAL))
    stock, meta = DEFAULT_CALIBRATION.meta, family.calibration.meta
    assert (meta.ctr, meta.audience_size, meta.device_share) == (0.04, 0.0, (0.5, 0.3, 0.2))
    assert meta.hour_traffic == stock.hour_traffic
    assert family.calibration.google == DEFAULT_CALIBRATION.google
    assert family.delay == FAMILIES[DEFAULT_FAMILY].delay


@pytest.mark.parametrize("name", FAMILIES)
def test_family__survives_the_way_through_toml_to_the_last_bit(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name].model_copy(update={"name": "mine"})
    again = load_family(write(tmp_path, dump_config(family)))
    assert again == family
    for ours, theirs in zip(make_tables(again.calibration), make_tables(family.calibration), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[calibration.google]\nctr = 0", r"calibration\.google\.ctr = 0: .*greater than 0.*clicks per impression"),
        ("[calibration.meta]\ndevice_share = [0.5, 0.3, 0.1]", r"calibration\.meta\.device_share.*add up to 0\.9"),
        ("[calibration.meta]\ndevice_share = [0.5, 0.5]", r"calibration\.meta\.device_share"),
        ("[calibration.tiktok]\nhour_traffic = [1.0]", r"calibration\.tiktok\.hour_traffic.*at least 24"),
        ("[calibration.tiktok]\nweekday_traffic = [1, 1, 1, 1, 1, 1, 2]", r"weekday_traffic.*mean is 1\.14"),
        ("[calibration.tiktok]\nhour_price_ratio = [-1.0]", r"calibration\.tiktok\.hour_price_ratio\.0 = -1"),
        ("[calibration.microsoft]\nprice_medium = 2.0", r"microsoft\.price_medium: unknown key.*'price_median'"),
        ("[calibration.gogle]\nctr = 0.1", r"calibration\.gogle: unknown key.*'google'"),
        ("[calibration]\ngoogle = 3", r"calibration\.google = 3"),
        ("calibration = 3", r"calibration = 3"),
    ],
)
def test_bad_table__names_channel_and_field(table: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        load_family(write(tmp_path, f'name = "shop"\n{table}\n'))


def test_channel__has_no_defaults_of_its_own() -> None:
    """A whole channel is either given or one of the four documented ones."""
    assert all(field.is_required() for field in ChannelCalibration.model_fields.values())


def test_market_file__must_not_take_a_documented_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"shop\.toml: name = 'wide' is that of a documented family"):
        load_family(write(tmp_path, 'name = "wide"\n'))


def test_market_file__that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config file .*nowhere\.toml"):
        load_family(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("model", [EvaluationConfig, SprintConfig])
def test_settings__take_paths_as_families_and_each_name_once(
    model: type[EvaluationConfig | SprintConfig], tmp_path: Path
) -> None:
    path = write(tmp_path, PARTIAL)
    assert load_config(model, None, [f'families=["campaign", "{path}"]']).families == ("campaign", str(path))
    with pytest.raises(ConfigError, match="are both called 'shop'"):
        load_config(model, None, [f'families=["{path}", "{path}"]'])


def test_env__runs_the_market_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, PARTIAL + "[calibration.google]\nclick_volume_per_day = 30000.0\n")
    busy, stock = MultiChannelEnv(str(path)), MultiChannelEnv("campaign")
    busy.reset(seed=3)
    stock.reset(seed=3)
    action = np.zeros(8, dtype=np.float32)
    gained = [env.step(action)[4]["expected_conversions"] for env in (busy, stock) for _ in range(12)]
    assert sum(gained[:12]) > sum(gained[12:])


def test_market__starts_at_the_family_s_own_prices(tmp_path: Path) -> None:
    family = load_family(write(tmp_path, PARTIAL + "[calibration.google]\nprice_median = 9.0\n"))
    market = BatchedMarket(family, 2)
    market.reset(make_world_keys("train", 0, 2))
    assert market.make_initial_plan().bid_micros[:, 0].tolist() == [9_000_000, 9_000_000]


@pytest.mark.parametrize("name", [*COMPARATORS, "reference-true"])
def test_planners__of_an_unknown_market_are_tuned_like_the_default_family(name: str) -> None:
    own = FamilyConfig(name="shop")
    planner = resolve_planner(name).make(own)
    twin = resolve_planner(name).make(FAMILIES[DEFAULT_FAMILY])
    assert planner.params == twin.params


def test_comparators__bid_in_the_family_s_own_prices() -> None:
    prices = {"google": {"price_median": 7.0}}
    dear = FamilyConfig(name="dear", calibration=MarketCalibration.model_validate(prices))
    for name in ("fixed-bids", "even-split"):
        ours = make_comparator_planner(name).make(dear)
        theirs = make_comparator_planner(name).make(FAMILIES[DEFAULT_FAMILY])
        assert ours._bid[0] == pytest.approx(2.0 * theirs._bid[0])
    assert DEFAULT_FAMILY in load_reference_params()


def test_first_price__follows_the_calibration() -> None:
    tables = {"google": {"first_price": True}, "tiktok": {"first_price": False}}
    arrays = make_calibration_arrays(MarketCalibration.model_validate(tables))
    assert arrays.first_price.tolist() == [True, False, False, False]

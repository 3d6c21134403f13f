"""Settings of a GA4 export."""

from __future__ import annotations

import pytest

from gaelp_rl.config.ga4 import Ga4Config, KeyEvent
from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.errors import ConfigError


def test_ga4_config__reads_back_what_it_writes(tmp_path):
    config = Ga4Config(
        property_time_zone="Europe/Berlin",
        key_events=(KeyEvent(name="lead", counting_method="once_per_session", default_value_micros=5_000_000),),
        attribution="first_click",
    )
    path = tmp_path / "ga4.toml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(Ga4Config, path) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("property_time_zone=Berlin", "IANA"),
        ("account_time_zone=../etc", "IANA"),
        ("currency=usd", "currency"),
        ("lookback_days=0", "lookback_days"),
        ("attribution=linear", "attribution"),
        ("key_events=[]", "key_events"),
        ('key_events=[{name="a"},{name="a"}]', "repeat"),
        ('key_events=[{name="a",counting_method="twice"}]', "counting_method"),
    ],
)
def test_ga4_config__refuses_what_cannot_be(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(Ga4Config, None, [override])

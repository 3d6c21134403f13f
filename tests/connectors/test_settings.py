"""Where connectors may go."""

from __future__ import annotations

import pytest

from connectors.settings import ConnectorsConfig, GoogleSettings, WriteMode, check_write_mode
from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.errors import ConfigError


def load(tmp_path, text):
    path = tmp_path / "connectors.toml"
    path.write_text(text)
    return load_config(ConnectorsConfig, path)


@pytest.mark.parametrize("endpoint", ["localhost:1234", "127.0.0.1:80", "http://127.0.0.1:80", "https://[::1]:80", ""])
def test_endpoint__may_be_loopback(tmp_path, endpoint):
    assert load(tmp_path, f'[google]\nendpoint = "{endpoint}"\n').google.endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "graph.example.com",
        "http://127.0.0.1.evil.com",
        "http://localhost@evil.com",
        "http://localhost:80@evil.com:80",
        "http://evil.com/localhost",
        "http://0.0.0.0:80",
        "http://10.0.0.1",
        "http://[::ffff:8.8.8.8]",
        "localhost.evil.com:80",
    ],
)
@pytest.mark.parametrize("key", ["endpoint", "token_endpoint"])
def test_endpoint__may_be_nothing_else(tmp_path, endpoint, key):
    """An address that only looks like this machine would be sent real tokens."""
    with pytest.raises(ConfigError, match="not on this machine"):
        load(tmp_path, f'[google]\n{key} = "{endpoint}"\n')


def test_clock__may_be_loopback_only(tmp_path):
    with pytest.raises(ConfigError, match="not on this machine"):
        load(tmp_path, 'clock = "http://evil.com"\n')


def test_config__is_written_as_it_is_read(tmp_path):
    config = load(tmp_path, '[meta]\naccount = "1"\nmanaged_campaigns = ["2", "3"]\n[ga4.sources]\nmeta = ["fb"]\n')
    assert load(tmp_path, dump_config(config)) == config


@pytest.mark.parametrize(
    ("mode", "endpoint", "fails"),
    [
        (WriteMode.LIVE, "", False),
        (WriteMode.LIVE, "localhost:1", True),
        (WriteMode.SANDBOX, "localhost:1", False),
        (WriteMode.SANDBOX, "", True),
        (WriteMode.DRY_RUN, "", False),
        (WriteMode.DRY_RUN, "localhost:1", False),
    ],
)
def test_write_mode__must_fit_the_endpoint(mode, endpoint, fails):
    settings = GoogleSettings(account="1", endpoint=endpoint)
    if fails:
        with pytest.raises(ConfigError, match="google"):
            check_write_mode("google", settings, mode)
    else:
        check_write_mode("google", settings, mode)

"""Connectors are made by name, and cost nothing until then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from connectors.credentials import SecretSource
from connectors.registry import PLATFORMS, fetch_clock, list_configured, make_connector
from connectors.settings import ConnectorsConfig, MetaSettings
from gaelp_rl.errors import ConfigError, ConnectorError

SDKS = (
    "google",
    "grpc",
    "facebook_business",
    "business_api_client",
    "bingads",
    "openapi_client",
    "aiohttp",
    "requests",
)
HEAVY = ("numpy", "yaml", "pandas", "torch", "ray")


def test_import__loads_no_sdk():
    """Modules that everything imports: what they load, every process pays for."""
    program = (
        "import sys, connectors.registry, connectors.reading, connectors.protocol\n"
        f"print([name for name in {(*SDKS, *HEAVY)} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_unknown_platform__suggests_a_known_one(tmp_path):
    with pytest.raises(ConfigError, match="tiktok"):
        make_connector("tictoc", ConnectorsConfig(), SecretSource({}, None, tmp_path))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_missing_sdk__says_what_to_install(platform, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, PLATFORMS[platform].module, raising=False)
    for name in SDKS:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("connectors.registry.import_module", _fail_to_import)
    with pytest.raises(ConfigError, match=rf"pip install 'gaelp-rl\[{platform}\]'"):
        make_connector(platform, ConnectorsConfig(), SecretSource({}, None, tmp_path))


def _fail_to_import(name):
    raise ModuleNotFoundError(name=name)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_platform_without_an_account__says_where_to_set_it(platform, tmp_path):
    with pytest.raises(ConfigError, match=r"connectors\.toml"):
        make_connector(platform, ConnectorsConfig(), SecretSource({}, None, tmp_path))


def test_configured__are_those_with_an_account():
    assert list_configured(ConnectorsConfig(meta=MetaSettings(account="1"))) == ["meta"]


def test_clock__that_does_not_answer_names_the_command():
    with pytest.raises(ConnectorError, match="gaelp sandbox"):
        fetch_clock("http://127.0.0.1:9", 0.5)

"""``gaelp sandbox`` over the market that policies are trained on."""

from __future__ import annotations

import io
import threading
from dataclasses import replace

import pytest
import requests
from rich.console import Console

from connectors.credentials import SecretSource
from connectors.hours import ReportWindow
from connectors.reports import parse_reports
from connectors.token_store import TokenStore
from experiments.run_sandbox import SandboxSettings, run_sandbox
from gaelp_rl.config.loading import load_config
from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.errors import ConfigError
from tests.sandbox import connect

SETTINGS = SandboxSettings(campaigns=2, history=12, hours=6, speed=3600.0 * 40, plaintext=True)


def make_console():
    return Console(file=io.StringIO(), width=200)


def test_sandbox__runs_its_hours_and_says_how_to_use_it(tmp_path):
    console = make_console()
    world = run_sandbox(replace(SETTINGS, out=tmp_path / "sandbox"), console)
    assert world.hour == 18
    said = console.file.getvalue()
    assert "gaelp check all --config" in said
    assert "After 18 hours" in said
    assert (tmp_path / "sandbox" / "secrets.env").stat().st_mode & 0o777 == 0o600


def test_sandbox__reports_the_training_market_to_the_micro(tmp_path):
    """The same market that trains the policy, seen through Google's and TikTok's own protocols."""
    seen = {}

    def read(servers):
        for name in ("google", "tiktok"):
            connector = connect(servers, name)
            window = ReportWindow(servers.world.start, servers.world.now)
            rows = parse_reports(connector.fetch_reports(window)).accepted
            hours = servers.world.hour - PLATFORM_RULES[Channel(name)].lag_hours
            c = CHANNELS.index(Channel(name))
            truth = sum(int(hour.spend_micros[:, c].sum()) for hour in servers.world.history[:hours])
            seen[name] = (sum(row.spend_micros for row in rows), truth)
            connector.close()

    run_sandbox(
        replace(SETTINGS, hours=1, speed=0.0, out=tmp_path),
        make_console(),
        on_ready=lambda s: (read(s), s.world.advance()),
    )
    for reported, truth in seen.values():
        assert reported == truth > 0


def test_clock__moves_when_it_is_told_to(tmp_path):
    def advance(servers):
        answer = requests.post(f"{servers.config.clock}/advance?hours=6", timeout=5).json()
        assert answer["hour"] == 18
        assert requests.get(f"{servers.config.clock}/clock", timeout=5).json() == answer
        assert requests.post(f"{servers.config.clock}/advance?hours=-1", timeout=5).status_code == 400
        assert requests.post(f"{servers.config.clock}/faults", data="{", timeout=5).status_code == 400
        script = {"faults": [{"kind": "throttle", "probability": 0.5}]}
        assert requests.post(f"{servers.config.clock}/faults", json=script, timeout=5).json() == {"faults": 1}
        assert requests.get(f"{servers.config.clock}/changes", timeout=5).json() == []
        assert requests.get(f"{servers.config.clock}/nothing", timeout=5).status_code == 404

    world = run_sandbox(replace(SETTINGS, speed=0.0, out=tmp_path), make_console(), on_ready=advance)
    assert world.hour == 18


def test_files__are_enough_for_another_process(tmp_path):
    """What ``source secrets.env`` and ``--config`` give, and nothing else."""
    from connectors.registry import make_connector
    from connectors.settings import ConnectorsConfig

    done = threading.Event()

    def check(servers):
        config = load_config(ConnectorsConfig, tmp_path / "connectors.toml")
        lines = (tmp_path / "secrets.env").read_text().splitlines()
        environment = dict(line.removeprefix("export ").replace("'", "").split("=", 1) for line in lines)
        source = SecretSource(environment, TokenStore.of_user(environment), tmp_path)
        for name in ("google", "meta", "tiktok", "microsoft", "ga4"):
            connector = make_connector(name, config, source)
            assert connector.check().account.currency == "USD"
            assert connector.fetch_state().as_of == servers.world.now
            connector.close()
        servers.world.advance()
        done.set()

    settings = replace(SETTINGS, plaintext=False, hours=1, speed=0.0, out=tmp_path)
    run_sandbox(settings, make_console(), on_ready=check)
    assert done.is_set()


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"time_zone": "Berlin"}, "Europe/Berlin"), ({"currency": "JPY"}, "cents"), ({"family": "nowhere"}, "nowhere")],
)
def test_settings__that_cannot_be_used_say_why(changes, says, tmp_path):
    with pytest.raises(ConfigError, match=says):
        run_sandbox(replace(SETTINGS, out=tmp_path, **changes), make_console())

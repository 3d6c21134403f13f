"""Limits as servers keep them, and what a connector does about them."""

from __future__ import annotations

import pytest

from connectors.calls import QuotaLimit
from connectors.sandbox.faults import FaultInjector
from connectors.sandbox.quotas import ServerQuotas
from connectors.sandbox.servers import SandboxServers
from gaelp_rl.errors import RateLimitedError
from tests.sandbox import connect, make_world, whole_window


def test_quota__counts_calls_that_fit_and_refuses_the_rest():
    now = [0.0]
    quotas = ServerQuotas(lambda: now[0], {"google": [QuotaLimit("operations a day", 3, 86_400.0)]})
    assert [quotas.take("google") for _ in range(3)] == [0.0] * 3
    assert quotas.take("google") == 86_400.0
    assert quotas.take("meta") == 0.0
    now[0] = 86_400.0
    assert quotas.take("google") == 0.0


def test_ga4_reports__cost_ten_tokens():
    quotas = ServerQuotas(lambda: 0.0, {"ga4": [QuotaLimit("tokens an hour", 25, 3_600.0)]})
    assert [quotas.take("ga4") > 0.0 for _ in range(3)] == [False, False, True]


def read_often(connector, window):
    for _ in range(61):
        connector.fetch_reports(window)


@pytest.mark.parametrize("platform", ["google", "meta", "tiktok", "microsoft", "ga4"])
def test_used_up_quota__ends_a_read_in_the_platforms_own_words(platform):
    quotas = ServerQuotas(lambda: 0.0, {platform: [QuotaLimit("operations a day", 60, 86_400.0)]})
    with SandboxServers(make_world(3), [platform], injector=FaultInjector(quotas=quotas), plaintext=True) as servers:
        connector = connect(servers, platform)
        with pytest.raises(RateLimitedError) as caught:
            read_often(connector, whole_window(servers.world))
    assert caught.value.platform == platform
    assert "own quota" not in caught.value.code

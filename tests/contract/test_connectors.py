"""The contract that every connector keeps, against its platform's protocol: over TLS and, for gRPC, in plaintext."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from connectors.capabilities import ImpressionShare
from connectors.credentials import SecretSource
from connectors.hours import ReportWindow
from connectors.operations import Setting, list_settings
from connectors.protocol import Connector
from connectors.push import Outcome
from connectors.reading import fetch_all
from connectors.registry import PLATFORMS as REGISTERED
from connectors.registry import make_connector
from connectors.reports import parse_reports
from connectors.sandbox.faults import FaultKind, FaultScript
from connectors.sandbox.servers import SandboxServers
from connectors.settings import WriteMode
from experiments.benchmark_push import find_differences
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.errors import (
    AuthError,
    ConfigError,
    ConnectorError,
    GaelpError,
    PlanError,
    RateLimitedError,
    TransientError,
)
from tests.sandbox import CHANNEL_PLATFORMS, PLATFORMS, connect, make_plan, make_world, script, whole_window

READ_FAULTS = (
    FaultKind.THROTTLE,
    FaultKind.SERVER_ERROR,
    FaultKind.TIMEOUT_BEFORE,
    FaultKind.TIMEOUT_AFTER,
    FaultKind.BREAK,
    FaultKind.GARBAGE,
    FaultKind.TOO_MUCH_DATA,
    FaultKind.DUPLICATE,
    FaultKind.DUPLICATE_ROWS,
    FaultKind.EMPTY_PAGE,
)
WRITE_FAULTS = (
    FaultKind.THROTTLE,
    FaultKind.SERVER_ERROR,
    FaultKind.TIMEOUT_BEFORE,
    FaultKind.TIMEOUT_AFTER,
    FaultKind.REORDER,
    FaultKind.BREAK,
    FaultKind.GARBAGE,
    FaultKind.PARTIAL,
    FaultKind.DUPLICATE,
)


@pytest.fixture(scope="module", params=[False, True], ids=["tls", "plaintext"])
def shared(request):
    """Servers that no test writes to."""
    with SandboxServers(make_world(), plaintext=request.param) as servers:
        yield servers


@pytest.fixture
def servers():
    with SandboxServers(make_world()) as own:
        yield own


def count_truth(world, platform, name, last_hour=None):
    """What the market really did on a channel in the hours that its platform reports by now."""
    channel = Channel(platform)
    hours = world.hour - PLATFORM_RULES[channel].lag_hours if last_hour is None else last_hour
    return sum(int(getattr(hour, name)[:, CHANNELS.index(channel)].sum()) for hour in world.history[:hours])


def count_visible_conversions(world, platform):
    channel, c = Channel(platform), CHANNELS.index(Channel(platform))
    rules = PLATFORM_RULES[channel]
    wait = 1 + rules.lag_hours + rules.conversion_lag_hours
    return sum(
        int(((o.conversions[:, 1] == c) & (hour + wait + o.conversions[:, 3] <= world.hour)).sum())
        for hour, o in enumerate(world.history[: world.hour - rules.lag_hours])
    )


def sum_rows(rows, name):
    return sum(getattr(row, name) for row in rows)


def test_registry__holds_the_five_platforms():
    assert set(REGISTERED) == set(PLATFORMS)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_connector__keeps_the_protocol(shared, platform):
    connector = connect(shared, platform)
    assert isinstance(connector, Connector)
    assert connector.capabilities.platform == platform


@pytest.mark.parametrize("platform", PLATFORMS)
def test_check__names_the_account_and_writes_nothing(shared, platform):
    result = connect(shared, platform).check()
    assert result.account.currency == "USD"
    assert result.can_write == (platform != "ga4")
    assert all(not account.num_writes for account in shared.world.accounts.values())


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("kind", [FaultKind.SERVER_ERROR, FaultKind.BREAK, FaultKind.GARBAGE], ids=str)
def test_check__lets_no_exception_of_an_sdk_out(platform, kind):
    with SandboxServers(make_world(2), [platform]) as servers:
        connector = connect(servers, platform)
        servers.injector.set_script(script(kind, "any", probability=1.0))
        with pytest.raises(ConnectorError):
            connector.check()


def test_check_of_google__says_when_writes_are_refused(servers):
    """Its own dry run tells: the credentials may read and not write."""
    connector = connect(servers, "google")
    servers.injector.set_script(script(FaultKind.PARTIAL, "write", probability=1.0))
    result = connector.check()
    assert not result.can_write
    assert "CONCURRENT_MODIFICATION" in result.notes[0]


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_fetch_state__is_what_the_account_holds(shared, platform):
    state = connect(shared, platform).fetch_state()
    held = shared.world.accounts[Channel(platform)].campaigns
    settings = list_settings(state.campaigns)
    assert [campaign.id for campaign in state.campaigns] == list(held)
    for campaign in state.campaigns:
        truth = held[campaign.id]
        own = {target: amount for target, amount in settings.items() if target.campaign == campaign.id}
        amounts = {(target.setting, target.device): amount for target, amount in own.items()}
        assert amounts.pop((Setting.STATUS, None)) is truth.status
        assert amounts.pop((Setting.DAILY_BUDGET, None)) == truth.budget_micros
        assert amounts.pop((Setting.BID, None)) == truth.bid_micros
        assert {device: percent for (_, device), percent in amounts.items()} in ({}, truth.modifier_percent)
        assert campaign.ad_groups[0].creatives == (truth.ad_id,)


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_reports__add_up_to_the_market_to_the_micro(shared, platform):
    connectors = {name: connect(shared, name) for name in (platform, "ga4")}
    reports = fetch_all(connectors, whole_window(shared.world)).platforms[platform]
    assert reports.error is None
    rows = reports.parsed.accepted
    assert not reports.parsed.quarantined
    for name in ("impressions", "clicks", "spend_micros"):
        assert sum_rows(rows, name) == count_truth(shared.world, platform, name)
    if connectors[platform].capabilities.hourly_conversions:
        assert sum_rows(rows, "conversions") == count_visible_conversions(shared.world, platform)
    assert {row.as_of for row in rows} == {shared.world.now}
    assert sum_rows(rows, "conversion_value_micros") == sum_rows(rows, "conversions") * 100 * MICROS


def test_reports_of_meta__take_their_conversions_from_ga4(shared):
    """Meta reports none by hour: without GA4 nothing is known of them, and the rows say so."""
    meta, ga4 = connect(shared, "meta"), connect(shared, "ga4")
    fetched, counted = (one.fetch_reports(whole_window(shared.world)) for one in (meta, ga4))
    alone = parse_reports(fetched)
    assert not alone.accepted
    assert "join GA4" in str(alone.quarantined[0][1])
    joined = parse_reports(fetched, counted)
    expected = sum(count.conversions for count in counted.counts if count.channel is Channel.META)
    assert expected > 0
    assert sum_rows(joined.accepted, "conversions") == expected
    assert sum_rows(joined.accepted, "spend_micros") == count_truth(shared.world, "meta", "spend_micros")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_reports__hold_the_hours_of_the_window_only(shared, platform):
    start = shared.world.start
    window = ReportWindow(start.replace(hour=5), start.replace(hour=9))
    fetched = connect(shared, platform).fetch_reports(window)
    hours = {row["hour"] for row in fetched.rows} | {count.hour for count in fetched.counts}
    assert hours
    assert hours <= {start.replace(hour=hour) for hour in range(5, 9)}


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_shares__come_by_day_from_those_who_report_them(platform):
    world = make_world(50)
    with SandboxServers(world, [platform]) as servers:
        connector = connect(servers, platform)
        shares = connector.fetch_reports(whole_window(world)).shares
    if connector.capabilities.impression_share is ImpressionShare.NONE:
        assert not shares
        return
    assert {share.day for share in shares} == {world.start.date()}
    c = CHANNELS.index(Channel(platform))
    for share in shares:
        campaign = world.accounts[Channel(platform)].campaigns[share.campaign]
        day = world.history[:24]
        won = sum(int(hour.impressions[campaign.index, c].sum()) for hour in day)
        eligible = sum(int(hour.eligible[campaign.index, c].sum()) for hour in day)
        assert share.impressions == won
        assert share.impression_share.share == pytest.approx(won / eligible, abs=1e-4)
        assert share.lost_share_budget.share == pytest.approx(0.1, abs=1e-4)


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_reports__are_restated_as_conversions_arrive_and_final_in_the_end(servers, platform):
    world = servers.world
    window = whole_window(world)
    connector = connect(servers, platform)
    read = lambda: parse_reports(connector.fetch_reports(window), connect(servers, "ga4").fetch_reports(window))  # noqa: E731
    first = read()
    world.advance(80)
    second = read()
    assert sum_rows(second.accepted, "conversions") > sum_rows(first.accepted, "conversions")
    assert not any(row.is_final for row in second.accepted)
    world.advance(24 * 31)
    last = read()
    assert all(row.is_final for row in last.accepted if row.impressions)
    for name in ("impressions", "clicks", "spend_micros"):
        assert sum_rows(last.accepted, name) == count_truth(world, platform, name, last_hour=30)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_reread_window__is_all_that_may_still_change(platform, shared):
    """Late conversions fall into it; what is older is final by the same declaration."""
    capabilities = connect(shared, platform).capabilities
    now = shared.world.now
    window = capabilities.make_reread_window(now)
    assert window.end > now
    assert not capabilities.is_final(window.start + (window.end - now), now)
    assert capabilities.is_final(window.start, now)


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
@pytest.mark.parametrize(("first_day", "length"), [("2026-03-28", 71), ("2026-10-24", 73)], ids=["spring", "autumn"])
def test_reports__lose_nothing_when_clocks_change(platform, first_day, length):
    """Three days of Berlin, the middle one of 23 or 25 hours: a wall clock that skips or repeats an hour."""
    from datetime import date

    world = make_world(length + 8, zone="Europe/Berlin", first_day=date.fromisoformat(first_day))
    with SandboxServers(world, [platform, "ga4"]) as servers:
        reports = fetch_all({name: connect(servers, name) for name in (platform, "ga4")}, whole_window(world))
    parsed = reports.platforms[platform].parsed
    assert not parsed.quarantined
    for name in ("impressions", "clicks", "spend_micros"):
        assert sum_rows(parsed.accepted, name) == count_truth(world, platform, name)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_reports__are_read_to_the_last_page(platform, monkeypatch):
    world = make_world(30, campaigns=5)
    with SandboxServers(world, [platform]) as servers:
        whole = connect(servers, platform).fetch_reports(whole_window(world))
        for module in ("meta", "tiktok", "ga4"):
            monkeypatch.setattr(f"connectors.{module}.client.PAGE_SIZE", 7)
        paged = connect(servers, platform).fetch_reports(whole_window(world))
    assert paged.rows == whole.rows
    assert paged.counts == whole.counts


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("kind", READ_FAULTS, ids=str)
def test_reports__are_the_same_under_passing_faults(shared, platform, kind, monkeypatch):
    monkeypatch.setattr("connectors.meta.client.PAGE_SIZE", 40)
    connector = connect(shared, platform)
    expected = connector.fetch_reports(whole_window(shared.world))
    shared.injector.set_script(script(kind, "any", at=(1, 3)))
    try:
        under_faults = connector.fetch_reports(whole_window(shared.world))
    finally:
        shared.injector.set_script(FaultScript())
    assert under_faults.rows == expected.rows
    assert under_faults.counts == expected.counts
    assert under_faults.shares == expected.shares


def test_meta_reports__are_the_same_in_parts_however_large_the_account(shared):
    """Every report of several days or of all campaigns is refused for its size."""
    connector = connect(shared, "meta")
    window = whole_window(shared.world)
    expected, before = connector.fetch_reports(window), connector.caller.num_calls
    shared.injector.set_script(script(FaultKind.TOO_MUCH_DATA, "report", probability=1.0))
    try:
        in_parts = connector.fetch_reports(window)
    finally:
        shared.injector.set_script(FaultScript())
    assert connector.caller.num_calls > 2 * before
    assert in_parts.rows == expected.rows
    assert not in_parts.duplicates


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
@pytest.mark.parametrize("kind", [FaultKind.LATE_ROWS, FaultKind.UNFINISHED_ROWS], ids=str)
def test_reports__that_came_too_early_are_restated(shared, platform, kind):
    """An hour that was missing or half counted is whole in the next read; the newest reading wins."""
    connector = connect(shared, platform)
    shared.injector.set_script(script(kind, "report", probability=1.0))
    try:
        early = connector.fetch_reports(whole_window(shared.world))
    finally:
        shared.injector.set_script(FaultScript())
    whole = connector.fetch_reports(whole_window(shared.world))
    spend = [sum(row["spend_micros"] for row in fetched.rows) for fetched in (early, whole)]
    assert spend[0] < spend[1] == count_truth(shared.world, platform, "spend_micros")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.THROTTLE, RateLimitedError),
        (FaultKind.SERVER_ERROR, TransientError),
        (FaultKind.TIMEOUT_BEFORE, TransientError),
        (FaultKind.BREAK, TransientError),
        (FaultKind.GARBAGE, TransientError),
    ],
    ids=str,
)
def test_reading__ends_in_a_typed_error_when_a_fault_stays(shared, platform, kind, error):
    connector = connect(shared, platform)
    connector.fetch_state()
    shared.injector.set_script(script(kind, "any", probability=1.0))
    try:
        with pytest.raises(error) as caught:
            connector.fetch_reports(whole_window(shared.world))
    finally:
        shared.injector.set_script(FaultScript())
    assert caught.value.platform == platform
    assert 0 < connector.caller.num_retries <= 7


@pytest.mark.parametrize("platform", PLATFORMS)
def test_reading__says_so_when_tokens_are_dead(platform):
    with SandboxServers(make_world(3), [platform]) as servers:
        connector = connect(servers, platform)
        servers.injector.set_script(script(FaultKind.AUTH_EXPIRED, "any", probability=1.0))
        with pytest.raises(AuthError):
            connector.fetch_reports(whole_window(servers.world))


@pytest.mark.parametrize("platform", ["google", "microsoft", "ga4"])
def test_reading__renews_an_access_token_that_expired(platform):
    """Google's SDKs renew on their own clock only; a token that dies early is renewed once, and the call repeated."""
    with SandboxServers(make_world(3), [platform]) as servers:
        connector = connect(servers, platform)
        connector.check()
        servers.get_tokens(platform).expire()
        connector.fetch_reports(whole_window(servers.world))
        assert servers.get_tokens(platform).num_refreshes == 2


@pytest.mark.parametrize("platform", PLATFORMS)
def test_reading__ends_in_a_typed_error_when_nobody_answers(platform):
    servers = SandboxServers(make_world(3), [platform])
    with servers:
        connector = connect(servers, platform)
        connector.check()
    with pytest.raises(ConnectorError):
        connector.fetch_reports(whole_window(servers.world))


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_push__is_a_dry_run_unless_told_otherwise(servers, platform):
    result = connect(servers, platform).push(make_plan(servers.world))
    assert result.dry_run
    assert {receipt.outcome for receipt in result.receipts} == {Outcome.CHECKED}
    assert not servers.world.accounts[Channel(platform)].num_writes


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_push__writes_what_the_plan_says_once(servers, platform):
    connector = connect(servers, platform)
    account = servers.world.accounts[Channel(platform)]
    result = connector.push(make_plan(servers.world), dry_run=False)
    assert {receipt.outcome for receipt in result.receipts} == {Outcome.ACCEPTED}
    assert {campaign.bid_micros for campaign in account.campaigns.values()} == {2_340_000}
    assert sum(campaign.budget_micros for campaign in account.campaigns.values()) == 150_000_000
    assert len(account.changes) == len(result.receipts)
    again = connector.push(make_plan(servers.world), dry_run=False)
    assert not again.receipts
    assert len(account.changes) == len(result.receipts)


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_push__of_a_pause_stops_spend(servers, platform):
    """The loop closes over the wire: what is pushed changes what the market does next."""
    connector = connect(servers, platform)
    connector.push(make_plan(servers.world, lambda plan: replace(plan, status=PlanStatus.PAUSED)), dry_run=False)
    before = count_truth(servers.world, platform, "spend_micros", servers.world.hour)
    servers.world.advance(5)
    assert count_truth(servers.world, platform, "spend_micros", servers.world.hour) == before


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
@pytest.mark.parametrize("kind", WRITE_FAULTS, ids=str)
def test_push__takes_effect_exactly_once_under_faults(servers, platform, kind):
    servers.injector.set_script(script(kind, "write", at=(1, 2, 4, 7)))
    receipts = list(connect(servers, platform).push(make_plan(servers.world), dry_run=False).receipts)
    account = servers.world.accounts[Channel(platform)]
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert find_differences(receipts, account) == (0, 0)


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_push__that_never_gets_through_says_why_and_writes_nothing(servers, platform):
    servers.injector.set_script(script(FaultKind.TIMEOUT_BEFORE, "write", probability=1.0))
    result = connect(servers, platform).push(make_plan(servers.world), dry_run=False)
    assert {receipt.outcome for receipt in result.receipts} == {Outcome.REFUSED}
    assert all(receipt.reason for receipt in result.receipts)
    assert not servers.world.accounts[Channel(platform)].num_writes


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_push__loses_patience_with_a_platform_that_only_asks_for_it(servers, platform):
    """An hourly loop must come back within its hour."""
    servers.injector.set_script(script(FaultKind.THROTTLE, "write", probability=1.0, wait_s=60.0))
    connector = connect(servers, platform)
    result = connector.push(make_plan(servers.world), dry_run=False)
    assert {receipt.outcome for receipt in result.receipts} == {Outcome.REFUSED}
    assert connector.caller.waited_s < 2000.0


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_push__that_cannot_be_read_back_is_unknown(servers, platform):
    connector = connect(servers, platform)
    connector.fetch_state()
    calls = connector.caller.num_calls
    connector.fetch_state()
    calls_of_one = connector.caller.num_calls - calls
    later = tuple(range(calls_of_one + 1, 2000))
    faults = [script(FaultKind.TIMEOUT_AFTER, "write", probability=1.0)]
    faults += [script(FaultKind.SERVER_ERROR, calls, at=later) for calls in ("read", "report")]
    servers.injector.set_script(FaultScript(faults=tuple(one for part in faults for one in part.faults)))
    result = connector.push(make_plan(servers.world), dry_run=False)
    unknown = [receipt for receipt in result.receipts if receipt.outcome is Outcome.UNKNOWN]
    assert unknown
    assert all("reading back failed" in receipt.reason for receipt in unknown if receipt.attempts)


@pytest.mark.parametrize("platform", ["meta", "tiktok", "microsoft"])
def test_push__refuses_budgets_below_the_platforms_least(servers, platform):
    tiny = lambda plan: replace(plan, daily_budget_micros=60_000)  # noqa: E731
    result = connect(servers, platform).push(make_plan(servers.world, tiny), dry_run=False)
    budgets = [receipt for receipt in result.receipts if receipt.operation.target.setting is Setting.DAILY_BUDGET]
    assert {receipt.outcome for receipt in budgets} == {Outcome.REFUSED}
    assert all("below" in receipt.reason for receipt in budgets)
    raised = [receipt for receipt in result.receipts if receipt.operation.target.setting is Setting.BID]
    assert all("held back" in receipt.reason for receipt in raised)


@pytest.mark.parametrize("platform", ["google", "microsoft"])
def test_push__refuses_a_shared_budget(servers, platform):
    campaign = next(iter(servers.world.accounts[Channel(platform)].campaigns.values()))
    campaign.budget_references = 2
    with pytest.raises(PlanError, match="shared budget"):
        connect(servers, platform).push(make_plan(servers.world), dry_run=False)


@pytest.mark.parametrize("platform", CHANNEL_PLATFORMS)
def test_push__touches_managed_campaigns_only(platform):
    with SandboxServers(make_world(2, campaigns=3), [platform]) as servers:
        account = servers.world.accounts[Channel(platform)]
        managed = list(account.campaigns)[1]
        settings = getattr(servers.config, platform).model_copy(update={"managed_campaigns": (managed,)})
        config = servers.config.model_copy(update={platform: settings})
        connector = make_connector(platform, config, servers.make_source(), writes=WriteMode.SANDBOX)
        connector.push(make_plan(servers.world), dry_run=False)
        assert {change.campaign for change in account.changes} == {managed}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_writes__refuse_to_start_where_they_would_not_go(servers, platform):
    source = servers.make_source()
    with pytest.raises(ConfigError, match="remove the override"):
        make_connector(platform, servers.config, source, writes=WriteMode.LIVE)
    settings = getattr(servers.config, platform).model_copy(update={"endpoint": ""})
    config = servers.config.model_copy(update={platform: settings})
    with pytest.raises(ConfigError, match="gaelp sandbox"):
        make_connector(platform, config, source, writes=WriteMode.SANDBOX)
    careful = make_connector(platform, servers.config, source)
    with pytest.raises((ConfigError, PlanError)):
        careful.push(make_plan(servers.world), dry_run=False)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_connector__without_secrets_says_how_to_give_them(servers, platform, tmp_path):
    with pytest.raises(ConfigError, match=f"gaelp login {platform}"):
        make_connector(platform, servers.config, SecretSource({}, None, tmp_path)).check()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_secrets__appear_nowhere(platform, caplog):
    """Canaries: every secret of the sandbox, through faults of all kinds, with all loggers at their loudest."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    servers = SandboxServers(make_world(3), [platform])
    with servers:
        canaries = [text for name, text in servers.environment.items() if not name.endswith("_ID")]
        connector = connect(servers, platform)
        shown += [repr(connector), repr(servers.config), repr(connector.check())]
        for kind in (*READ_FAULTS, FaultKind.AUTH_EXPIRED):
            servers.injector.set_script(script(kind, "any", probability=1.0))
            for act in (connector.fetch_state, lambda: connector.push(make_plan(servers.world), dry_run=False)):
                try:
                    shown.append(repr(act()))
                except GaelpError as error:
                    shown += [str(error), repr(error), repr(error.__cause__), repr(error.__suppress_context__)]
    try:
        connector.fetch_state()
    except GaelpError as error:
        shown.append(str(error))
    shown += [record.getMessage() + str(record.exc_text) for record in caplog.records]
    assert canaries
    for canary in canaries:
        assert not [text for text in shown if canary in text]

"""What the sandbox reports when, against the market's own history."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from connectors.operations import Setting
from connectors.sandbox.faults import Fault, FaultKind
from connectors.sandbox.world import SandboxWorld
from gaelp_rl.domain.bid_plan import PlanStatus
from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.platform_rules import PLATFORM_RULES
from gaelp_rl.errors import ConfigError, WriteRefusedError
from tests.sandbox import FIRST_DAY, TinyMarket, make_world

UTC_ZONE = ZoneInfo("UTC")
DAYS = (FIRST_DAY, FIRST_DAY + timedelta(days=3))


def sum_cells(world, channel, name, **options):
    return sum(getattr(cell, name) for cell in world.list_cells(channel, DAYS, UTC_ZONE, **options))


@pytest.mark.parametrize("channel", CHANNELS)
def test_cells__appear_when_the_platform_shows_them(channel):
    world = make_world(10)
    c = CHANNELS.index(channel)
    for _ in range(4):
        shown = world.history[: world.hour - PLATFORM_RULES[channel].lag_hours]
        for name in ("impressions", "clicks", "spend_micros"):
            truth = sum(int(getattr(hour, name)[:, c].sum()) for hour in shown)
            assert sum_cells(world, channel, name) == truth
            assert sum_cells(world, channel, name, device_split=False) == truth
        world.advance()


@pytest.mark.parametrize("channel", CHANNELS)
def test_conversions__come_when_they_are_due_and_all_in_the_end(channel):
    world = make_world(6)
    before = -1
    for _ in range(8):
        now = sum_cells(world, channel, "conversions")
        assert now >= before
        before = now
        world.advance(6)
    c = CHANNELS.index(channel)
    world.advance(60)
    first_day = (FIRST_DAY, FIRST_DAY)
    reported = sum(cell.conversions for cell in world.list_cells(channel, first_day, UTC_ZONE))
    assert reported == sum(int((hour.conversions[:, 1] == c).sum()) for hour in world.history[:24])


def test_event_counts__are_all_conversions_at_their_own_hour():
    world = make_world(24 * 3)
    world.advance(60)
    days = (FIRST_DAY, FIRST_DAY + timedelta(days=20))
    for c, channel in enumerate(CHANNELS):
        counts = world.list_event_counts(channel, days)
        lag = PLATFORM_RULES[channel].conversion_lag_hours
        due = [
            hour + age
            for hour, outcome in enumerate(world.history)
            for _, _, _, age in outcome.conversions[outcome.conversions[:, 1] == c].tolist()
        ]
        assert sum(count for *_, count in counts) == sum(event < world.hour - lag for event in due)


def test_shares__are_published_the_day_after_and_cut_off():
    world = make_world(24)
    assert world.list_day_shares(Channel.GOOGLE, [FIRST_DAY]) == []
    world.advance(PLATFORM_RULES[Channel.GOOGLE].share_hour)
    shares = world.list_day_shares(Channel.GOOGLE, [FIRST_DAY])
    assert len(shares) == 2
    for hour in world.history:
        hour.impressions[:] = np.minimum(hour.impressions, 1)
        hour.lost_to_budget[:] = 0.95
    cut = world.list_day_shares(Channel.GOOGLE, [FIRST_DAY])
    assert {share.share for share in cut} == {0.0999}
    assert {share.lost_to_budget for share in cut} == {0.9001}
    assert world.list_day_shares(Channel.META, [FIRST_DAY]) == []


def test_pieces_of_a_cell__add_up_to_it():
    cells = make_world(5).list_cells(Channel.META, DAYS, UTC_ZONE)
    for cell in cells:
        for parts in (1, 2, 3):
            pieces = cell.split(parts)
            for name in ("impressions", "clicks", "spend_micros", "conversions"):
                assert sum(getattr(piece, name) for piece in pieces) == getattr(cell, name)


def test_late_and_unfinished_hours__hold_less():
    world = make_world(10)
    late = sum_cells(world, Channel.META, "clicks", fault=Fault(kind=FaultKind.LATE_ROWS))
    unfinished = sum_cells(world, Channel.META, "clicks", fault=Fault(kind=FaultKind.UNFINISHED_ROWS))
    assert late < unfinished < sum_cells(world, Channel.META, "clicks")


def test_wall_clock__adds_both_passes_of_a_repeated_hour():
    """25 October in Berlin: 25 hours of delivery, 24 rows of wall clock, nothing lost."""
    day = date(2026, 10, 25)
    world = make_world(30, zone="Europe/Berlin", first_day=day)
    cells = world.list_cells(Channel.META, (day, day), world.time_zone)
    assert len({cell.local for cell in cells}) == 24
    c = CHANNELS.index(Channel.META)
    assert sum(cell.spend_micros for cell in cells) == sum(int(h.spend_micros[:, c].sum()) for h in world.history[:25])


def test_changes__are_what_changed_and_nothing_else():
    account = make_world(1).accounts[Channel.TIKTOK]
    campaign = next(iter(account.campaigns.values()))
    for amount in (25 * 10**6, 25 * 10**6, 30 * 10**6):
        account.write(campaign, Setting.DAILY_BUDGET, amount, None, 1)
    account.write(campaign, Setting.STATUS, PlanStatus.PAUSED, None, 1, check_only=True)
    assert [(change.before, change.after) for change in account.changes] == [
        (60 * 10**6, 25 * 10**6),
        (25 * 10**6, 30 * 10**6),
    ]
    assert account.num_writes == 3


@pytest.mark.parametrize(
    ("setting", "amount", "rule"),
    [
        (Setting.DAILY_BUDGET, 19_990_000, "below_minimum"),
        (Setting.BID, 12_345, "not_a_unit"),
        (Setting.BID, 0, "below_minimum"),
        (Setting.DEVICE_MODIFIER, 5, "out_of_range"),
    ],
)
def test_writes__that_break_a_rule_change_nothing(setting, amount, rule):
    account = make_world(1).accounts[Channel.TIKTOK]
    campaign = next(iter(account.campaigns.values()))
    with pytest.raises(WriteRefusedError) as caught:
        account.write(campaign, setting, amount, None, 1)
    assert caught.value.rule == rule
    assert not account.changes


def test_currency_without_cents__is_refused():
    with pytest.raises(ConfigError, match="JPY"):
        SandboxWorld(TinyMarket(), FIRST_DAY, UTC_ZONE, "JPY")

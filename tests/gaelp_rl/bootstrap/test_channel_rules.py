"""Each rule on a hand-made event, and the order of the rules."""

from __future__ import annotations

import pytest

from gaelp_rl.bootstrap.channel_rules import NO_CLICK, SESSION_CHANNELS, split_rank
from tests.gaelp_rl.bootstrap.tiny_export import PAGE, make_event, read, write_shard

NOON = "2026-01-06T12:00"


def last_click(google=None, manual=None, group=None):
    """The session's attribution: campaign id; (source, medium); (source, default channel group)."""
    found = {}
    if google:
        found["google_ads_campaign"] = {"campaign_id": google}
    if manual:
        found["manual_campaign"] = {"source": manual[0], "medium": manual[1]}
    if group:
        found["cross_channel_campaign"] = {"source": group[0], "default_channel_group": group[1]}
    return {"session_traffic_source_last_click": found}


def collected(**columns):
    return {"collected_traffic_source": columns}


def classify(tmp_path, **event):
    write_shard(tmp_path, [make_event(NOON, **event)])
    sessions = read(tmp_path).sessions
    rule, channel = split_rank(sessions.rank)
    click = int(sessions.click[0])
    return int(rule[0]), SESSION_CHANNELS[channel[0]], None if click == NO_CLICK else SESSION_CHANNELS[click]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (last_click(google="123"), (1, "google", None)),
        (collected(gclid="abc"), (1, "google", "google")),
        ({"page": PAGE + "?gclid=abc"}, (2, "google", "google")),
        ({"page": PAGE + "?a=1&gbraid=abc"}, (2, "google", "google")),
        ({"page": PAGE + "?wbraid=abc#top"}, (2, "google", "google")),
        ({"page": PAGE + "?fbclid=abc"}, (2, "meta", "meta")),
        ({"page": PAGE + "?ttclid=abc"}, (2, "tiktok", "tiktok")),
        ({"page": PAGE + "?msclkid=abc"}, (2, "microsoft", "microsoft")),
        (last_click(manual=("facebook", "paid_social")), (3, "meta", None)),
        (last_click(manual=("ig", "cpc")), (3, "meta", None)),
        (last_click(manual=("TikTok", "CPM")), (3, "tiktok", None)),
        (last_click(manual=("bing", "ppc")), (3, "microsoft", None)),
        (collected(manual_source="google", manual_medium="cpc"), (3, "google", None)),
        (last_click(manual=("newsletter", "cpc")), (3, "paid_other", None)),
        (last_click(group=("bing", "Paid Search")), (4, "microsoft", None)),
        (last_click(group=("", "Cross-network")), (4, "google", None)),
        (last_click(group=("pinterest", "Paid Social")), (4, "paid_other", None)),
        (last_click(manual=("google", "organic"), group=("google", "Organic Search")), (5, "unpaid", None)),
        ({}, (5, "unpaid", None)),
    ],
)
def test_rules__each_decides(tmp_path, event, expected):
    assert classify(tmp_path, **event) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (last_click(google="1") | {"page": PAGE + "?fbclid=a"}, (1, "google", "meta")),
        (last_click(manual=("bing", "cpc")) | {"page": PAGE + "?fbclid=a"}, (2, "meta", "meta")),
        (last_click(manual=("tiktok", "cpc"), group=("bing", "Paid Search")), (3, "tiktok", None)),
        ({"page": PAGE + "?fbclid=a&gclid=b"}, (2, "google", "google")),
        (
            last_click(manual=("bing", "cpc")) | collected(manual_source="tiktok", manual_medium="cpc"),
            (3, "microsoft", None),
        ),
    ],
)
def test_rules__the_first_that_decides_wins(tmp_path, event, expected):
    assert classify(tmp_path, **event) == expected


@pytest.mark.parametrize(
    "page", ["?gclid=", "?gclid=&x=1", "?xgclid=a", "gclid=a", "?q=fbclid", "?a=1#fbclid=b", "fbclid/?x=1"]
)
def test_find_clicks__takes_no_parameter_that_merely_looks_like_one(tmp_path, page):
    assert classify(tmp_path, page=PAGE + page)[2] is None


def test_find_clicks__takes_ga4s_not_set_for_none(tmp_path):
    assert classify(tmp_path, **collected(gclid="(not set)")) == (5, "unpaid", None)

"""Which click gets a conversion, at the edges of the window."""

from __future__ import annotations

import pytest

from gaelp_rl.bootstrap.channel_rules import SESSION_CHANNELS
from tests.gaelp_rl.bootstrap.tiny_export import PAGE, make_event, micros, read_attributed, write_by_day

CLICKS = [
    make_event("2026-01-01T12:00", session=1, page=PAGE + "?gclid=a"),
    make_event("2026-01-05T12:00", session=2, page=PAGE + "?fbclid=b"),
    make_event("2026-01-05T11:00", user="other", page=PAGE + "?ttclid=c"),
]


def find(tmp_path, when, **settings):
    stamp = micros(when) if isinstance(when, str) else when
    write_by_day(tmp_path, [*CLICKS, make_event(stamp, "purchase", session=9)])
    found = read_attributed(tmp_path, **settings)
    (at,) = found.click_of.tolist()
    return SESSION_CHANNELS[found.clicks.channel[at]] if at >= 0 else None


@pytest.mark.parametrize(
    ("when", "lookback_days", "attribution", "expected"),
    [
        ("2026-01-06T00:00", 30, "last_click", "meta"),
        ("2026-01-06T00:00", 30, "first_click", "google"),
        ("2026-01-06T00:00", 3, "first_click", "meta"),
        ("2026-01-04T00:00", 30, "last_click", "google"),
        ("2026-01-01T11:59", 30, "last_click", None),
        ("2026-01-05T12:00", 30, "last_click", "meta"),
        ("2026-01-04T12:00", 3, "last_click", "google"),
        (micros("2026-01-04T12:00") + 1, 3, "last_click", None),
        ("2026-01-20T00:00", 7, "last_click", None),
    ],
)
def test_attribute__last_or_first_click_of_the_same_user_inside_the_window(
    tmp_path, when, lookback_days, attribution, expected
):
    assert find(tmp_path, when, lookback_days=lookback_days, attribution=attribution) == expected


def test_attribute__a_direct_return_inherits_no_click(tmp_path):
    """GA4 names Google's campaign on later direct sessions too; only the session with the identifier is a click."""
    inherited = {"session_traffic_source_last_click": {"google_ads_campaign": {"campaign_id": "1"}}}
    rows = [CLICKS[0] | inherited, make_event("2026-01-03T12:00", "purchase", session=5) | inherited]
    write_by_day(tmp_path, rows)
    found = read_attributed(tmp_path)
    assert found.clicks.timestamp.tolist() == [micros("2026-01-01T12:00")]
    assert found.click_of.tolist() == [0]


def test_attribute__without_any_click_nothing_is_paid(tmp_path):
    write_by_day(tmp_path, [make_event("2026-01-03T12:00", "purchase")])
    assert read_attributed(tmp_path).click_of.tolist() == [-1]

"""Platform rules: one for every channel, and the reporting profile that follows from them."""

from __future__ import annotations

import numpy as np

from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.platform_rules import PLATFORM_RULES, make_reporting_profile


def test_platform_rules__cover_every_channel_with_possible_figures() -> None:
    assert set(PLATFORM_RULES) == set(CHANNELS)
    for rules in PLATFORM_RULES.values():
        assert rules.over_delivery >= 1.0
        assert rules.max_edit_ratio > 0.0
        assert 0 <= rules.lag_hours < 24
        assert rules.share_hour is None or 0 <= rules.share_hour < 24


def test_make_reporting_profile__holds_the_rules_in_channel_order() -> None:
    profile = make_reporting_profile()
    for c, channel in enumerate(CHANNELS):
        rules = PLATFORM_RULES[channel]
        assert (profile.lag_hours[c], profile.conversion_lag_hours[c]) == (rules.lag_hours, rules.conversion_lag_hours)
        assert profile.device_split[c] == rules.device_split
        assert profile.hourly_conversions[c] == rules.hourly_conversions
        assert profile.impression_share[c] == (rules.share_hour is not None)
    assert profile.lag_hours.dtype == np.int64


def test_platform_rules__meta_and_tiktok_learn_and_share_nothing() -> None:
    """Meta and TikTok have a learning phase and no impression share; the search platforms the reverse."""
    assert [PLATFORM_RULES[channel].has_learning_phase for channel in CHANNELS] == [False, True, True, False]
    assert make_reporting_profile().impression_share.tolist() == [True, False, False, True]

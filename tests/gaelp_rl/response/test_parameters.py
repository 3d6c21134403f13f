"""Intervals, and the rule that tells what is fitted from what is kept."""

from __future__ import annotations

import math

import pytest

from gaelp_rl.response.parameters import FITTED, make_log_parameter, make_sd_parameter, make_share_parameter

LABEL = ("google", "ctr", "")


def test_log_parameter__interval_is_ninety_per_cent_of_the_log_normal() -> None:
    """1.645 standard errors either way, in logs."""
    one = make_log_parameter(LABEL, (math.log(2.0), 0.1), (0.0, 1.0), "nothing seen")
    assert (one.estimate, one.source, one.is_fitted) == (pytest.approx(2.0), FITTED, True)
    assert (one.low, one.high) == (pytest.approx(2.0 / 1.1788, rel=1e-4), pytest.approx(2.0 * 1.1788, rel=1e-4))


def test_log_parameter__is_kept_with_the_prior_s_own_interval_where_data_narrow_it_too_little() -> None:
    one = make_log_parameter(LABEL, (5.0, 0.85), (0.0, 1.0), "nothing seen")
    assert (one.estimate, one.source, one.log_sd) == (1.0, "kept: nothing seen", 1.0)
    assert one.high == pytest.approx(math.exp(1.64485), rel=1e-4)
    assert make_log_parameter(LABEL, (5.0, 0.79), (0.0, 1.0), "nothing seen").is_fitted


def test_share_parameter__stays_a_share() -> None:
    one = make_share_parameter(LABEL, 0.99, 0.02)
    assert (one.high, one.is_fitted) == (1.0, True)
    assert make_share_parameter(LABEL, 0.5, 0.1, "no split").source == "kept: no split"


def test_sd_parameter__interval_is_chi_square() -> None:
    """With 20 degrees of freedom the 5 % and 95 % points are 10.851 and 31.410 (tables)."""
    one = make_sd_parameter(LABEL, 0.1, (20.0, 4.0), 0.3, "too few")
    assert one.low == pytest.approx(0.1 * math.sqrt(20 / 31.410), rel=1e-4)
    assert one.high == pytest.approx(0.1 * math.sqrt(20 / 10.851), rel=1e-4)
    kept = make_sd_parameter(LABEL, 0.1, (7.0, 4.0), 0.3, "too few")
    assert (kept.estimate, kept.source) == (0.3, "kept: too few")


def test_label__names_channel_setting_and_index() -> None:
    assert make_share_parameter(("meta", "device_share", "mobile"), 0.9, 0.0).label == "meta.device_share[mobile]"

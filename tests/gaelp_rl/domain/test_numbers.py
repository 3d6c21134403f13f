"""Numbers from platforms: exact, or refused with the field named."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.domain.numbers import (
    CensoredShare,
    Censoring,
    parse_count,
    parse_money_micros,
    parse_number,
    parse_share,
)
from gaelp_rl.errors import FieldError

NBSP, NARROW_NBSP, MINUS, EM_DASH = "\u00a0", "\u202f", "\u2212", "\u2014"
PARSERS = (parse_number, parse_count, parse_money_micros, parse_share)
NONSENSE = ["NaN", "nan", "inf", "-Infinity", "null", "n/a", "1,23", "12,34,567", "1,2345", ",123", "1.2.3", "1e", "$5"]
NONSENSE += [
    "0x10",
    "\u0661\u0662",
    "1_000",
    "5 6",
    "--1",
    "1e99999",
    "9" * 65,
    float("nan"),
    float("inf"),
    b"5",
    [],
    True,
]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("raw", [None, "", "  ", "-", "--", " -- ", EM_DASH, MINUS, NBSP])
def test_parsers__missing_markers_mean_no_data(parse, raw) -> None:
    assert parse("clicks", raw) is None


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("raw", NONSENSE)
def test_parsers__nonsense_is_refused_with_the_field_named(parse, raw) -> None:
    with pytest.raises(FieldError, match="'clicks'") as caught:
        parse("clicks", raw)
    assert caught.value.field == "clicks"
    assert caught.value.raw is raw


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1,234.50", 1234.5),
        (f" 1{NBSP}234.5{NBSP}", 1234.5),
        (f"1{NARROW_NBSP}234{NARROW_NBSP}567", 1234567.0),
        (f"{MINUS}3.5", -3.5),
        ("+.5", 0.5),
        ("7.", 7.0),
        ("1e3", 1000.0),
        (12, 12.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (Decimal("1.25"), 1.25),
    ],
)
def test_parse_number__reads_what_platforms_write(raw, expected) -> None:
    assert parse_number("ctr", raw) == expected


@pytest.mark.parametrize("raw", ["1e309", "-1e309", "< 10%", f"1,234{NBSP}567"])
def test_parse_number__refuses_what_is_no_finite_number(raw) -> None:
    with pytest.raises(FieldError, match="'ctr'"):
        parse_number("ctr", raw)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_parse_number__round_trips_every_finite_float(number) -> None:
    assert parse_number("x", repr(number)) == number
    assert parse_number("x", number) == number


@given(st.integers(0, 2**63 - 1))
def test_parse_count__round_trips_with_separators(count) -> None:
    assert parse_count("clicks", f"{count:,}") == count
    assert parse_count("clicks", f"{count}.00") == count
    assert parse_count("clicks", count) == count


@pytest.mark.parametrize("raw", [-1, "-3", "1.5", 0.5, 2**63, "1e309"])
def test_parse_count__refuses_negative_broken_and_huge(raw) -> None:
    with pytest.raises(FieldError, match="'clicks'"):
        parse_count("clicks", raw)


@given(st.integers(-(10**12), 10**12).map(lambda micros: (micros, Decimal(micros).scaleb(-6))))
def test_parse_money_micros__is_exact_to_the_micro(case) -> None:
    micros, amount = case
    assert parse_money_micros("spend", f"{amount:,.6f}") == micros
    assert parse_money_micros("spend", amount) == micros
    assert parse_money_micros("spend", float(amount)) == micros


@pytest.mark.parametrize(
    ("raw", "micros"),
    [
        ("1,234.50", 1_234_500_000),
        ("0.000001", 1),
        ("1.2345670000", 1_234_567),
        (0.1 + 0.2, 300_000),
        ("9223372036854", 9_223_372_036_854 * 10**6),
    ],
)
def test_parse_money_micros__examples(raw, micros) -> None:
    """0.1 + 0.2 is 0.30000000000000004: noise of double precision, not a price."""
    assert parse_money_micros("spend", raw) == micros


@pytest.mark.parametrize("raw", ["0.0000001", "1." + "0" * 40 + "1", 1.00000005, "1e309", "1e-9", 9.3e12, "NaN"])
def test_parse_money_micros__never_rounds_silently(raw) -> None:
    with pytest.raises(FieldError, match="'spend'"):
        parse_money_micros("spend", raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("12.5%", CensoredShare(0.125)),
        (f"42.10{NBSP}%", CensoredShare(0.421)),
        ("9.99%", CensoredShare(0.0999)),
        (0.5, CensoredShare(0.5)),
        ("0", CensoredShare(0.0)),
        (1, CensoredShare(1.0)),
        ("< 10%", CensoredShare(0.1, Censoring.BELOW)),
        ("<10%", CensoredShare(0.1, Censoring.BELOW)),
        ("> 90%", CensoredShare(0.9, Censoring.ABOVE)),
        (0.0999, CensoredShare(0.1, Censoring.BELOW)),
        ("0.0999", CensoredShare(0.1, Censoring.BELOW)),
        (0.9001, CensoredShare(0.9, Censoring.ABOVE)),
    ],
)
def test_parse_share__reads_percentages_shares_and_censored_ones(raw, expected) -> None:
    """0.0999 and 0.9001 are Google's codes: metrics.search_impression_share and the lost shares."""
    assert parse_share("impression_share", raw) == expected


@pytest.mark.parametrize("raw", ["12.5", 42, "101%", "-5%", "%", "--%", "< --", "<> 5%", "5%%", "1e309", "< 150%"])
def test_parse_share__refuses_what_is_not_between_0_and_1(raw) -> None:
    with pytest.raises(FieldError, match="'impression_share'"):
        parse_share("impression_share", raw)


def test_censored_share__cannot_lie_outside_0_to_1() -> None:
    with pytest.raises(FieldError, match="between 0 and 1"):
        CensoredShare(1.5)

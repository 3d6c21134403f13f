"""Amounts across the border: exact, and never rounded up."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.money import compute_unit_micros, make_decimal, make_minor_units, parse_minor_units, round_down
from gaelp_rl.errors import FieldError

CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])


@pytest.mark.parametrize(("currency", "unit"), [("USD", 10_000), ("JPY", 1_000_000), ("KWD", 1_000), ("EUR", 10_000)])
def test_unit__is_that_of_iso_4217(currency, unit):
    assert compute_unit_micros(currency) == unit


@given(micros=st.integers(0, 2**62), currency=CURRENCIES)
def test_round_down__never_spends_more_and_loses_less_than_a_unit(micros, currency):
    rounded = round_down(micros, currency)
    assert rounded <= micros < rounded + compute_unit_micros(currency)
    assert parse_minor_units("bid", make_minor_units(rounded, currency), currency) == rounded


@given(micros=st.integers(0, 2**62))
def test_decimal__is_exact(micros):
    assert make_decimal(micros) * 10**6 == Decimal(micros)


def test_minor_units__refuse_what_lies_between_two():
    with pytest.raises(FieldError, match="smallest unit of USD"):
        make_minor_units(12_345, "USD")


@pytest.mark.parametrize("raw", ["1.5", "", "ten", None])
def test_minor_units__refuse_what_is_no_whole_number(raw):
    with pytest.raises(FieldError, match="bid"):
        parse_minor_units("bid", raw, "USD")

"""Amounts on their way to and from a platform: exact, in the account's currency, never rounded up."""

from __future__ import annotations

from decimal import Decimal

from gaelp_rl.domain.money import MICROS, Micros
from gaelp_rl.errors import FieldError

__all__ = [
    "compute_unit_micros",
    "make_decimal",
    "make_minor_units",
    "parse_minor_units",
    "round_down",
]

_ZERO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def compute_unit_micros(currency: str) -> Micros:
    """Micros in the smallest unit of a currency: 10,000 for USD, 1,000,000 for JPY.

    Source: ISO 4217, minor units.
    """
    if currency in _ZERO_DECIMALS:
        return MICROS
    return MICROS // (1000 if currency in _THREE_DECIMALS else 100)


def round_down(micros: Micros, currency: str) -> Micros:
    """The largest amount that the currency can express and that is not above ``micros``."""
    unit = compute_unit_micros(currency)
    return micros // unit * unit


def make_decimal(micros: Micros) -> Decimal:
    """Currency units, exactly."""
    return Decimal(micros) / MICROS


def make_minor_units(micros: Micros, currency: str) -> int:
    """Cents, or whatever the currency's smallest unit is.

    Raises:
        FieldError: the amount lies between two units.
    """
    units, rest = divmod(micros, compute_unit_micros(currency))
    if rest:
        raise FieldError("amount", micros, f"micros are no whole number of the smallest unit of {currency}")
    return units


def parse_minor_units(field: str, raw: object, currency: str) -> Micros:
    """Reads an amount that travels as a whole number of the currency's smallest unit.

    Args:
        field: the name of the field, for the error.
        raw: a string or whole number.
        currency: ISO 4217 code.

    Raises:
        FieldError: not a whole number.
    """
    try:
        return int(str(raw)) * compute_unit_micros(currency)
    except ValueError:
        raise FieldError(field, raw, f"is not a whole number of the smallest unit of {currency}") from None

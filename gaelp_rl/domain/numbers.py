"""Numbers as platforms send them, parsed once, at the boundary, exactly or not at all.

One grammar for all fields: an optional sign, digits with well-placed thousands separators, an
optional fraction, an optional exponent. A marker for "no data" becomes ``None``; everything else is
refused with the field named, because a guess would be spent as money.
"""

from __future__ import annotations

import math
import numbers
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum

from gaelp_rl.domain.money import MICROS, Micros
from gaelp_rl.errors import FieldError

__all__ = [
    "CensoredShare",
    "Censoring",
    "parse_count",
    "parse_money_micros",
    "parse_number",
    "parse_share",
]

_MISSING = frozenset({"", "-", "--", "\N{EN DASH}", "\N{EM DASH}"})
_SPACES = " \t\r\n\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)"
    r"(?P<whole>[0-9]+|[0-9]{1,3}(?P<sep>[,\u00a0\u202f])[0-9]{3}(?:(?P=sep)[0-9]{3})*|(?=\.[0-9]))"
    r"(?P<fraction>\.[0-9]*)?"
    r"(?P<exponent>[eE][+-]?[0-9]{1,4})?"
)
_SHARE = re.compile(r"(?P<side>[<>]?)\s*(?P<number>[^%<>]+?)\s*(?P<percent>%?)")
_MAX_WHOLE = 2**63 - 1
_MAX_CHARACTERS = 64
_EXACT = Context(prec=2 * _MAX_CHARACTERS)
_FLOAT_NOISE = Decimal("1e-9")

_GOOGLE_BELOW, _GOOGLE_BELOW_BOUND = Decimal("0.0999"), 0.1
_GOOGLE_ABOVE, _GOOGLE_ABOVE_BOUND = Decimal("0.9001"), 0.9


class Censoring(StrEnum):
    """Which side of ``CensoredShare.share`` the true share lies on."""

    NONE = "none"
    BELOW = "below"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class CensoredShare:
    """A share (0 to 1) that the platform may have cut off.

    Attributes:
        share: the share itself, or the bound where it is censored.
        censoring: NONE for an exact share, BELOW for "less than ``share``", ABOVE for "more".
    """

    share: float
    censoring: Censoring = Censoring.NONE

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise FieldError("share", self.share, "is not a share; it must lie between 0 and 1")


def parse_number(field: str, raw: object) -> float | None:
    """Parses a finite number.

    Args:
        field: the name of the field, for the error.
        raw: a string such as ``"1,234.50"``, a number, or a missing marker.

    Returns:
        The number, or None where the platform says that it has no data (None, "", "-", "--").

    Raises:
        FieldError: anything else: words, booleans, NaN, infinities, misplaced separators.
    """
    decimal = _parse_decimal(field, raw)
    if decimal is None:
        return None
    number = float(decimal)
    if not math.isfinite(number):
        raise FieldError(field, raw, "is too large for a number; it must be finite")
    return number


def parse_count(field: str, raw: object) -> int | None:
    """Parses a whole number that cannot be negative, such as impressions or micros.

    Args:
        field: the name of the field, for the error.
        raw: a string such as ``"1,234"``, a number, or a missing marker.

    Returns:
        The count, or None where the platform says that it has no data.

    Raises:
        FieldError: not a number, negative, not whole, or beyond 64 bits.
    """
    decimal = _parse_decimal(field, raw)
    if decimal is None:
        return None
    if decimal < 0:
        raise FieldError(field, raw, "is negative; a count must be 0 or more")
    if decimal > _MAX_WHOLE:
        raise FieldError(field, raw, "is too large; a count must fit 64 bits")
    if decimal != decimal.to_integral_value():
        raise FieldError(field, raw, "is not whole; a count has no fraction")
    return int(decimal)


def parse_money_micros(field: str, raw: object) -> Micros | None:
    """Parses an amount in currency units to whole micros, exactly.

    A string with more than six decimals is refused unless the rest are zeros: which way to round
    is not ours to choose. A float is taken at its shortest decimal form, and snapped to the nearest
    micro only within 1e-9 of a unit, which is the noise of sums in double precision.

    Args:
        field: the name of the field, for the error.
        raw: a string such as ``"1,234.50"``, a number, or a missing marker.

    Returns:
        Micros, or None where the platform says that it has no data.

    Raises:
        FieldError: not a number, finer than a micro, or beyond 64 bits.
    """
    decimal = _parse_decimal(field, raw)
    if decimal is None:
        return None
    if abs(decimal) > _MAX_WHOLE // MICROS:
        raise FieldError(field, raw, "is too large; an amount in micros must fit 64 bits")
    micros = decimal.scaleb(6, context=_EXACT)
    nearest = micros.to_integral_value(rounding=ROUND_HALF_EVEN)
    noise = _FLOAT_NOISE * MICROS if _is_float(raw) else Decimal(0)
    if abs(micros - nearest) > noise:
        raise FieldError(field, raw, "is finer than a micro; an amount has at most six decimals")
    return int(nearest)


def parse_share(field: str, raw: object) -> CensoredShare | None:
    """Parses a share: ``"12.5%"``, ``0.125``, ``"< 10%"``, ``"> 90%"``.

    Args:
        field: the name of the field, for the error.
        raw: a percentage with its sign, a plain share from 0 to 1, a censored one, or a missing
            marker. The plain numbers 0.0999 and 0.9001 are Google's codes for "< 10%" and "> 90%".

    Returns:
        The share, or None where the platform says that it has no data.

    Raises:
        FieldError: not a number, or outside 0 to 1; a percentage needs its per cent sign.

    Source: Google Ads API, metrics.search_impression_share ("any value below 0.1 is reported as
    0.0999") and search_budget_lost_impression_share ("any value above 0.9 is reported as 0.9001").
    """
    text = _clean(raw) if isinstance(raw, str) else None
    match = _SHARE.fullmatch(text) if text is not None else None
    side, percent, body = (match["side"], match["percent"], match["number"]) if match else ("", "", raw)
    decimal = _parse_decimal(field, body, shown=raw)
    if decimal is None:
        if side or percent:
            raise FieldError(field, raw, "has no number; a share looks like '12.5%', '< 10%' or 0.125")
        return None
    share = decimal.scaleb(-2, context=_EXACT) if percent else decimal
    if not 0 <= share <= 1:
        raise FieldError(field, raw, "is outside 0 to 1; a percentage must end in '%'")
    return _make_share(share, side, has_unit=bool(percent))


def _make_share(share: Decimal, side: str, *, has_unit: bool) -> CensoredShare:
    """Turns a bound with its sign, or one of Google's codes, into a censored share."""
    if side == "<" or (not side and not has_unit and share == _GOOGLE_BELOW):
        return CensoredShare(float(share) if side else _GOOGLE_BELOW_BOUND, Censoring.BELOW)
    if side == ">" or (not side and not has_unit and share == _GOOGLE_ABOVE):
        return CensoredShare(float(share) if side else _GOOGLE_ABOVE_BOUND, Censoring.ABOVE)
    return CensoredShare(float(share))


def _parse_decimal(field: str, raw: object, *, shown: object = None) -> Decimal | None:
    """The number as an exact decimal, or None for a missing marker; ``shown`` goes in the error."""
    shown = raw if shown is None else shown
    if raw is None:
        return None
    if isinstance(raw, str):
        text = _clean(raw)
        if text in _MISSING:
            return None
        match = _NUMBER.fullmatch(text) if len(text) <= _MAX_CHARACTERS else None
        if match is None:
            raise FieldError(field, shown, "is not a number; expected digits such as '1,234.50', or '--' for no data")
        return _make_decimal(match)
    if isinstance(raw, bool):
        raise FieldError(field, shown, "is a truth value; expected a number")
    if isinstance(raw, Decimal):
        finite = raw
    elif isinstance(raw, numbers.Integral):
        return Decimal(int(raw))
    elif isinstance(raw, numbers.Real):
        finite = Decimal(repr(float(raw)))
    else:
        raise FieldError(field, shown, f"is a {type(raw).__name__}; expected a number or a string that holds one")
    if not finite.is_finite():
        raise FieldError(field, shown, "is not finite; expected a number")
    return finite


def _make_decimal(match: re.Match[str]) -> Decimal:
    whole = match["whole"].replace(match["sep"], "") if match["sep"] else match["whole"]
    return Decimal(f"{match['sign']}{whole or '0'}{match['fraction'] or ''}{match['exponent'] or ''}")


def _clean(raw: str) -> str:
    """Outer spaces off, the typographic minus to the plain one."""
    return raw.strip(_SPACES).replace("\N{MINUS SIGN}", "-")


def _is_float(raw: object) -> bool:
    return isinstance(raw, numbers.Real) and not isinstance(raw, numbers.Integral)

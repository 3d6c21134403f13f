"""The exception tree: complete, drawn at the head of its module, and helpful."""

from __future__ import annotations

import inspect
import re

import pytest

from gaelp_rl import errors
from gaelp_rl.errors import FieldError, GaelpError, suggest

CLASSES = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, Exception)}


def test_tree__is_drawn_and_exported_in_full() -> None:
    drawn = set(re.findall(r"\b(\w+Error)\b", errors.__doc__ or ""))
    assert drawn == set(CLASSES)
    assert set(errors.__all__) == {*CLASSES, "suggest"}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_tree__has_one_root(name) -> None:
    assert issubclass(CLASSES[name], GaelpError)
    assert CLASSES[name].__doc__


def test_field_error__names_field_and_raw() -> None:
    error = FieldError("clicks", "1,23", "is not a number")
    assert (error.field, error.raw) == ("clicks", "1,23")
    assert str(error) == "field 'clicks': '1,23' is not a number"


def test_suggest__names_the_nearest_or_all() -> None:
    assert suggest("gogle", ["google", "meta"]) == " Did you mean 'google'?"
    assert suggest("zzz", ["meta", "google"]) == " Known: google, meta."

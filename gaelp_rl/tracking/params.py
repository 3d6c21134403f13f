"""Parameters as MLflow takes them: flat names, short strings, small batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

__all__ = ["MAX_PARAM_CHARACTERS", "MAX_PER_BATCH", "flatten_params", "make_batches"]

_Item = TypeVar("_Item")

MAX_PARAM_CHARACTERS = 6000
"""Longest value of a parameter. Source: ``mlflow.utils.validation.MAX_PARAM_VAL_LENGTH``."""

MAX_PER_BATCH = 100
"""Most parameters, or tags, in one request. Source: ``MAX_PARAMS_TAGS_PER_BATCH`` in the same module."""


def flatten_params(params: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Flattens nested settings to dotted names and strings.

    Args:
        params: settings by name; mappings may hold mappings, everything else is written by ``str``.
        prefix: comes before every name.

    Returns:
        Strings of at most 6,000 characters by dotted name; a longer one is cut and ends with its full length.
    """
    flat: dict[str, str] = {}
    for name, setting in params.items():
        if isinstance(setting, Mapping) and setting:
            flat.update(flatten_params(setting, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = _shorten(str(setting))
    return flat


def make_batches(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    """Cuts a sequence into lists of at most ``size``, in order."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _shorten(text: str) -> str:
    if len(text) <= MAX_PARAM_CHARACTERS:
        return text
    ending = f"... ({len(text)} characters)"
    return text[: MAX_PARAM_CHARACTERS - len(ending)] + ending

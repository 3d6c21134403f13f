"""Every error that gaelp-rl raises on purpose.

GaelpError
├── ConfigError            a setting is unknown, missing or out of range
├── DataError              a value that came from outside cannot be used
│   └── FieldError         ... and the field that held it is known
├── SchemaError            an observation or action does not fit the schema in force
├── ActionError            an action is not finite or outside its space
├── PlanError              a bid plan cannot be carried out as written
├── ArtifactError          a policy artefact is missing, corrupt or built for something else
├── CheckpointError        a training checkpoint is missing, corrupt or could not be written
├── UnknownReferenceError  a policy, run or model reference resolves to nothing
└── ResourceError          this machine lacks what the job needs

A message says what happened, the value, the rule, and the next move.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ActionError",
    "ArtifactError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "FieldError",
    "GaelpError",
    "PlanError",
    "ResourceError",
    "SchemaError",
    "UnknownReferenceError",
    "suggest",
]


class GaelpError(Exception):
    """The root: catch this to catch everything that gaelp-rl raises on purpose."""


class ConfigError(GaelpError):
    """A setting is unknown, missing or out of range."""


class DataError(GaelpError):
    """A value that came from outside cannot be used."""


class FieldError(DataError):
    """One field of a row from outside cannot be used.

    Attributes:
        field: the name of the field.
        raw: the value as it arrived.
    """

    def __init__(self, field: str, raw: object, rule: str) -> None:
        self.field = field
        self.raw = raw
        super().__init__(f"field {field!r}: {raw!r} {rule}")


class SchemaError(GaelpError):
    """An observation or action does not fit the schema in force."""


class ActionError(GaelpError):
    """An action is not finite or outside its space."""


class PlanError(GaelpError):
    """A bid plan cannot be carried out as written."""


class ArtifactError(GaelpError):
    """A policy artefact is missing, corrupt or built for something else."""


class CheckpointError(GaelpError):
    """A training checkpoint is missing, corrupt or could not be written."""


class UnknownReferenceError(GaelpError):
    """A policy, run or model reference resolves to nothing."""


class ResourceError(GaelpError):
    """This machine lacks what the job needs."""


def suggest(unknown: str, known: Iterable[str]) -> str:
    """Names the nearest known words, for the end of an error message.

    Args:
        unknown: the word that was not recognised.
        known: the words that would have been.

    Returns:
        A sentence that starts with a space, or one that lists all known words.
    """
    words = sorted(known)
    near = difflib.get_close_matches(unknown, words, n=2, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(repr(word) for word in near)}?"
    return f" Known: {', '.join(words)}."

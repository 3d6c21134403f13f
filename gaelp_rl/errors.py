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
├── ResourceError          this machine lacks what the job needs
├── WireError              a sandbox server answers a call with its platform's error
├── WriteRefusedError      the rules of a sandbox's platform forbid a write
└── ConnectorError         an ad platform could not be read or written
    ├── TransientError       ... this time: the same call may succeed
    ├── RateLimitedError     ... yet: it says how long to wait
    ├── AuthError            ... with these credentials
    ├── RefusedError         ... as asked: the same call will fail again
    └── UnknownOutcomeError  ... and whether the write was applied is not known: read back

A message says what happened, the value, the rule, and the next move.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "ActionError",
    "ArtifactError",
    "AuthError",
    "CheckpointError",
    "ConfigError",
    "ConnectorError",
    "DataError",
    "FieldError",
    "GaelpError",
    "PlanError",
    "RateLimitedError",
    "RefusedError",
    "ResourceError",
    "SchemaError",
    "TransientError",
    "UnknownOutcomeError",
    "UnknownReferenceError",
    "WireError",
    "WriteRefusedError",
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


class WireError(GaelpError):
    """A sandbox server answers a call with its platform's error; its host puts it on the wire.

    Attributes:
        code: the platform's own, or gRPC's status code.
        detail: what else this platform sends: a subcode, an error's name, trailing metadata.
        status: of HTTP.
    """

    def __init__(self, code: Any, message: str, detail: Any = None, status: int = 400) -> None:
        self.code = code
        self.detail = detail
        self.status = status
        super().__init__(message)


class WriteRefusedError(GaelpError):
    """The rules of a sandbox's platform forbid a write; its server words it as that platform would.

    Attributes:
        rule: ``not_found``, ``not_a_unit``, ``below_minimum``, ``out_of_range`` or ``injected``.
    """

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        super().__init__(message)


class ConnectorError(GaelpError):
    """An ad platform could not be read or written.

    Attributes:
        platform: its name, such as ``google``.
        code: the platform's own name or number of what went wrong.
        request_id: what its support would ask for; empty where it gave none.
    """

    def __init__(self, platform: str, code: str, message: str, request_id: str = "") -> None:
        self.platform = platform
        self.code = code
        self.request_id = request_id
        request = f" (request {request_id})" if request_id else ""
        super().__init__(f"{platform} {code}: {message}{request}")


class TransientError(ConnectorError):
    """The call failed for a reason that passes, and nothing was written."""


class RateLimitedError(ConnectorError):
    """The platform asks for patience; nothing was written.

    Attributes:
        wait_s: seconds until the call may be made again.
    """

    def __init__(self, platform: str, code: str, message: str, wait_s: float, request_id: str = "") -> None:
        self.wait_s = wait_s
        super().__init__(platform, code, f"{message}; wait {wait_s:g} s", request_id)


class AuthError(ConnectorError):
    """The credentials are missing, expired or lack a permission; nothing was written."""


class RefusedError(ConnectorError):
    """The platform will not do what it was asked; nothing was written."""


class UnknownOutcomeError(ConnectorError):
    """A write was sent and no answer came: it may have been applied."""


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

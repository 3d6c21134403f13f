"""The base of every settings model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["StrictModel"]


class StrictModel(BaseModel):
    """Settings that refuse what they do not know.

    Unknown keys, NaN, infinities and silent conversions (the string "3" for a number, 1 for a bool) are
    validation errors; an integer is accepted where a float is asked for. Instances are frozen: a changed copy
    is `model.model_copy(update=...)` re-validated, or better, an override given to `load_config`.

    Text from outside goes through `gaelp_rl.config.loading.load_config`, which turns validation errors into
    `ConfigError` and accepts arrays for tuples and words for enums and paths.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

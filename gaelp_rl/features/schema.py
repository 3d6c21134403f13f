"""The observation schema: an ordered, versioned, append-only list of named features.

A feature's place in the vector is its place in the list. A schema grows at its end only, so that
one schema is always a prefix of the other when two of the same family meet.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.errors import SchemaError

__all__ = ["FeatureSpec", "Float32Array", "ObservationSchema"]

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One named number of an observation.

    Attributes:
        name: channel or ``global``, then the quantity: ``google.cvr_7d_log_ratio``.
        unit: of the raw quantity, before scaling.
        low: lowest entry in the vector; entries are clipped to it.
        high: highest entry in the vector; likewise.
        scaling: the raw quantity is divided by it.
        neutral: entry that says "no information"; it pads the observations of older logs.
    """

    name: str
    unit: str
    low: float
    high: float
    scaling: float = 1.0
    neutral: float = 0.0

    def __post_init__(self) -> None:
        owner, _, quantity = self.name.partition(".")
        if not owner or not quantity:
            msg = f"feature name {self.name!r} must say whose and what, such as 'google.cvr_7d_log_ratio'"
            raise SchemaError(msg)
        finite = all(math.isfinite(x) for x in (self.low, self.high, self.scaling, self.neutral))
        if not finite or not self.low <= self.neutral <= self.high or self.low == self.high or self.scaling <= 0:
            msg = (
                f"feature {self.name!r}: range {self.low} to {self.high}, neutral {self.neutral}, scaling"
                f" {self.scaling}; all must be finite, the neutral entry inside the range, the scaling above 0"
            )
            raise SchemaError(msg)


@dataclass(frozen=True)
class ObservationSchema:
    """The layout of an observation vector.

    Attributes:
        version: counts up whenever features are appended.
        features: in the order of the vector.
    """

    version: int
    features: tuple[FeatureSpec, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for feature in self.features:
            if feature.name in seen:
                msg = f"observation schema version {self.version} names {feature.name!r} twice; names must be unique"
                raise SchemaError(msg)
            seen.add(feature.name)

    @property
    def size(self) -> int:
        """How many features an observation has."""
        return len(self.features)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of the vector."""
        return tuple(feature.name for feature in self.features)

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON of version and features."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @functools.cached_property
    def low(self) -> Float32Array:
        """Lower ends of the features' ranges, float32 [features]."""
        return _freeze([feature.low for feature in self.features])

    @functools.cached_property
    def high(self) -> Float32Array:
        """Upper ends of the features' ranges, float32 [features]."""
        return _freeze([feature.high for feature in self.features])

    @functools.cached_property
    def neutral(self) -> Float32Array:
        """The features' neutral entries, float32 [features]."""
        return _freeze([feature.neutral for feature in self.features])

    def index(self, name: str) -> int:
        """The place of a feature in the vector.

        Raises:
            SchemaError: no feature has that name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            msg = f"observation schema {self.describe()} has no feature {name!r}"
            raise SchemaError(msg) from None

    def describe(self) -> str:
        """Version, size and the head of the hash, for messages."""
        return f"v{self.version} ({self.size} features, {self.hash[:12]})"

    def fit(self, observations: Float32Array, from_schema: ObservationSchema) -> Float32Array:
        """Reads observations that were built by another schema of the same family.

        An older schema reads its own prefix of a newer vector; a newer one gets its own neutral
        entries for features that an older vector lacks.

        Args:
            observations: float32 [..., ``from_schema.size``].
            from_schema: the schema that built them.

        Returns:
            float32 [..., ``self.size``]; a view where nothing had to be added.

        Raises:
            SchemaError: neither schema is a prefix of the other, or the vector has another size.
        """
        shared = min(self.size, from_schema.size)
        for i in range(shared):
            if self.features[i] != from_schema.features[i]:
                raise SchemaError(self._describe_difference(from_schema, i))
        if observations.ndim == 0 or observations.shape[-1] != from_schema.size:
            msg = f"observations of shape {observations.shape} do not fit observation schema {from_schema.describe()}"
            raise SchemaError(msg)
        if self.size <= from_schema.size:
            return observations[..., : self.size]
        fitted = np.empty((*observations.shape[:-1], self.size), dtype=np.float32)
        fitted[..., :shared] = observations
        fitted[..., shared:] = self.neutral[shared:]
        return fitted

    def check(self, observations: Float32Array) -> None:
        """Refuses observations that this schema cannot have built.

        Args:
            observations: float32 [worlds, features].

        Raises:
            SchemaError: wrong shape, or a non-finite entry; it names the world and the feature.
        """
        if observations.ndim != 2 or observations.shape[1] != self.size:
            msg = f"observations of shape {observations.shape} do not fit schema {self.describe()}: [worlds, features]"
            raise SchemaError(msg)
        finite = np.isfinite(observations)
        if not finite.all():
            world, i = np.argwhere(~finite)[0]
            entry = observations[world, i]
            msg = f"observation of world {world}: {self.names[i]} is {entry}; every entry must be finite"
            raise SchemaError(msg)

    def _describe_difference(self, other: ObservationSchema, i: int) -> str:
        mine, theirs = self.features[i], other.features[i]
        if mine.name == theirs.name:
            what = f"feature {i}, {mine.name!r}, is defined as {mine} in the one and {theirs} in the other"
        else:
            what = f"feature {i} is {mine.name!r} in the one and {theirs.name!r} in the other"
        return (
            f"observation schemas {self.describe()} and {other.describe()} differ: {what}; schemas may only grow at"
            " their end, so use a policy and data of one family or export the policy again"
        )


def _freeze(entries: list[float]) -> Float32Array:
    array = np.array(entries, dtype=np.float32)
    array.flags.writeable = False
    return array

"""What ``manifest.json`` of a policy artefact says: strict on reading, canonical on writing."""

from __future__ import annotations

import json
import math
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, ValidationError, model_validator

from gaelp_rl.config.strict import StrictModel
from gaelp_rl.errors import ArtifactError

__all__ = [
    "ARCHITECTURE",
    "FORMAT_VERSION",
    "GOLDEN_TOLERANCE",
    "NUM_GOLDEN",
    "ActionBound",
    "ActionDecode",
    "ControllerSpec",
    "FeatureRange",
    "FileDigest",
    "Manifest",
    "NetworkManifest",
    "ObservationManifest",
    "PolicyKind",
    "Provenance",
    "load_manifest",
    "make_manifest_bytes",
]

ARCHITECTURE: Final = "mlp-tanh-v1"
"""Linear layers with ReLU between them; the output is ``residual_scale * tanh(last layer)``."""

FORMAT_VERSION: Final = 1
"""Version of the artefact directory: its files, the manifest's fields and their meaning."""

NUM_GOLDEN = 64
"""Observation-action pairs that every network carries and every load replays."""

GOLDEN_TOLERANCE = 1e-5
"""Largest difference between an action and its golden action, in action units."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
GitCommit = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{7,64}(-dirty)?|unknown)$")]


class PolicyKind(StrEnum):
    """Who decides the plan: a trained residual, or a classical controller alone."""

    NETWORK = "network"
    CONTROLLER = "controller"


class FileDigest(StrictModel):
    """Size and hash of one file of the artefact."""

    sha256: Sha256
    size_bytes: int = Field(ge=0)


class FeatureRange(StrictModel):
    """One feature of the observation, as ``gaelp_rl.features.schema.FeatureSpec`` has it.

    Numbers keep the type they were given, since the hash of a schema tells 3 from 3.0.
    """

    name: Name
    unit: str
    low: float | int
    high: float | int
    scaling: float | int
    neutral: float | int


class ObservationManifest(StrictModel):
    """The observation schema that the network was trained on."""

    version: int = Field(ge=1)
    schema_hash: str = Field(min_length=1, max_length=128)
    features: tuple[FeatureRange, ...] = Field(min_length=1, max_length=10_000)


class ActionBound(StrictModel):
    """One action of the network and its bounds."""

    name: Name
    low: float
    high: float


class ActionDecode(StrictModel):
    """How an action becomes a plan: largest steps away from the reference controller."""

    max_log_bid: float = Field(gt=0, le=5, description="log multiplier of the bid at action 1")
    max_logit: float = Field(gt=0, le=10, description="logit added to the budget share at action 1")


class ControllerSpec(StrictModel):
    """A classical controller by name, with the parameters that make it."""

    name: Name
    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class Provenance(StrictModel):
    """Where an artefact comes from.

    Attributes:
        run_id: the tracking run that made it.
        git_commit: of the code that made it, with ``-dirty`` where it was modified, or ``unknown``.
        created_at: aware time, given by the caller.
    """

    run_id: Name
    git_commit: GitCommit
    created_at: AwareDatetime


class NetworkManifest(StrictModel):
    """The trained residual: its architecture, its observation and its action."""

    architecture: Literal["mlp-tanh-v1"]
    layer_sizes: tuple[Annotated[int, Field(ge=1, le=16_384)], ...] = Field(min_length=2, max_length=32)
    observation: ObservationManifest
    actions: tuple[ActionBound, ...] = Field(min_length=1, max_length=1_000)
    decode: ActionDecode
    residual_scale: float = Field(ge=0, le=1, description="multiplies the action")

    @model_validator(mode="after")
    def _check_sizes(self) -> NetworkManifest:
        ends = (self.layer_sizes[0], self.layer_sizes[-1])
        if ends != (len(self.observation.features), len(self.actions)):
            raise ValueError(
                f"layer_sizes starts and ends with {ends}, but there are "
                f"{len(self.observation.features)} features and {len(self.actions)} actions"
            )
        return self

    @property
    def num_parameters(self) -> int:
        """Weights and biases of all layers."""
        return sum(math.prod(pair) + pair[1] for pair in pairwise(self.layer_sizes))


class Manifest(StrictModel):
    """Everything an artefact says about itself.

    Attributes:
        files: digest of every file that the manifest covers, by name.
        controller: the reference controller under a network, or the controller that decides alone.
        network: present if and only if ``kind`` is ``network``.
    """

    format_version: Literal[1]
    kind: PolicyKind
    provenance: Provenance
    controller: ControllerSpec
    network: NetworkManifest | None
    files: dict[str, FileDigest]

    @model_validator(mode="after")
    def _check_kind(self) -> Manifest:
        if (self.kind is PolicyKind.NETWORK) != (self.network is not None):
            raise ValueError(f"kind {self.kind.value!r} and the network section contradict each other")
        return self


def make_manifest_bytes(manifest: Manifest) -> bytes:
    """Writes a manifest as JSON with sorted keys, two spaces of indent and a final newline."""
    return (json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True) + "\n").encode()


def load_manifest(content: bytes, source: str) -> Manifest:
    """Reads ``manifest.json``.

    Args:
        content: the bytes of the file.
        source: its path, for error messages.

    Returns:
        The manifest.

    Raises:
        ArtifactError: the bytes are no manifest of this format; names the field and the value.
    """
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        shown = repr(first["input"])[:80]
        raise ArtifactError(
            f"{source}: {field}: {first['msg']} (found {shown}; {error.error_count()} problem(s)); this build reads "
            f"artefact format {FORMAT_VERSION}: export the policy again with a matching version of gaelp-rl"
        ) from error

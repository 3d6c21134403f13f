"""Writing a policy artefact: what the trainer hands over, checked, hashed, signed and made durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from safetensors.numpy import save

from gaelp_rl.errors import ArtifactError
from gaelp_rl.features.schema import Float32Array, ObservationSchema
from gaelp_rl.policy.files import (
    DIGEST_FILE,
    GOLDEN_FILE,
    MANIFEST_FILE,
    SIGNATURE_FILE,
    WEIGHTS_FILE,
    compute_sha256,
    write_artifact_files,
)
from gaelp_rl.policy.loading import check_artifact
from gaelp_rl.policy.manifest import (
    ARCHITECTURE,
    FORMAT_VERSION,
    GOLDEN_TOLERANCE,
    NUM_GOLDEN,
    ActionBound,
    ActionDecode,
    ControllerSpec,
    FeatureRange,
    FileDigest,
    Manifest,
    NetworkManifest,
    ObservationManifest,
    PolicyKind,
    Provenance,
    make_manifest_bytes,
)
from gaelp_rl.policy.network import MlpNetwork
from gaelp_rl.policy.signature import sign_manifest

__all__ = ["NetworkExport", "sample_golden_observations", "save_policy"]


@dataclass(frozen=True, slots=True)
class NetworkExport:
    """A trained network and everything needed to use it away from its trainer.

    Attributes:
        network: the layers of the actor's mean.
        schema: the observation that it was trained on.
        action_names: one per output; every action lies in [-1, 1].
        decode: how an action becomes a plan.
        residual_scale: in [0, 1]; multiplies the action.
        golden_observation: float32 [64, features], real or from ``sample_golden_observations``.
        golden_action: float32 [64, actions] that the trainer's own network gave, ``residual_scale``
            included; None to take them from ``network``.
    """

    network: MlpNetwork
    schema: ObservationSchema
    action_names: tuple[str, ...]
    decode: ActionDecode
    residual_scale: float
    golden_observation: Float32Array
    golden_action: Float32Array | None = None


def sample_golden_observations(schema: ObservationSchema, rng: np.random.Generator) -> Float32Array:
    """Samples observations uniformly within the range of every feature.

    Args:
        schema: the observation schema.
        rng: the source of randomness.

    Returns:
        float32 [64, features].
    """
    return rng.uniform(schema.low, schema.high, size=(NUM_GOLDEN, schema.size)).astype(np.float32)


def save_policy(
    path: Path,
    *,
    controller: ControllerSpec,
    provenance: Provenance,
    network: NetworkExport | None = None,
    signing_key: Ed25519PrivateKey | None = None,
) -> str:
    """Writes a policy artefact; one that is already at ``path`` is replaced only once the new one is durable.

    Args:
        path: the artefact directory.
        controller: under a network its reference controller; without one the policy itself.
        provenance: where the policy comes from.
        network: the trained residual; None makes an artefact of kind ``controller``.
        signing_key: signs the manifest when given.

    Returns:
        The artefact's identity: the sha256 of its manifest.

    Raises:
        ArtifactError: the parts do not fit each other, the trainer's golden actions are not
            reproduced, or the disk refuses. What was at ``path`` before is intact.
    """
    payload = {} if network is None else _make_payload(network)
    manifest = _make_manifest(controller, provenance, network, payload)
    sha256 = compute_sha256(manifest)
    payload[MANIFEST_FILE] = manifest
    payload[DIGEST_FILE] = f"{sha256}  {MANIFEST_FILE}\n".encode()
    if signing_key is not None:
        payload[SIGNATURE_FILE] = sign_manifest(signing_key, manifest)
    check_artifact(path, payload)
    write_artifact_files(path, payload)
    return sha256


def _make_manifest(
    controller: ControllerSpec, provenance: Provenance, export: NetworkExport | None, payload: Mapping[str, bytes]
) -> bytes:
    try:
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            kind=PolicyKind.CONTROLLER if export is None else PolicyKind.NETWORK,
            provenance=provenance,
            controller=controller,
            network=None if export is None else _make_network_manifest(export),
            files={name: FileDigest(sha256=compute_sha256(c), size_bytes=len(c)) for name, c in payload.items()},
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ArtifactError(
            f"{'.'.join(str(part) for part in first['loc'])} of the policy is {first['input']!r}: {first['msg']}; "
            "correct it and save again"
        ) from error
    return make_manifest_bytes(manifest)


def _make_network_manifest(export: NetworkExport) -> NetworkManifest:
    return NetworkManifest(
        architecture=ARCHITECTURE,
        layer_sizes=export.network.layer_sizes,
        observation=ObservationManifest(
            version=export.schema.version,
            schema_hash=export.schema.hash,
            features=tuple(FeatureRange(**asdict(feature)) for feature in export.schema.features),
        ),
        actions=tuple(ActionBound(name=name, low=-1.0, high=1.0) for name in export.action_names),
        decode=export.decode,
        residual_scale=export.residual_scale,
    )


def _check_sizes(export: NetworkExport) -> None:
    sizes, expected = export.network.layer_sizes, (export.schema.size, len(export.action_names))
    if (sizes[0], sizes[-1]) != expected:
        raise ArtifactError(
            f"the network maps {sizes[0]} inputs to {sizes[-1]} outputs, but the schema has {expected[0]} features and "
            f"there are {expected[1]} action names: export the network that was trained on this schema"
        )


def _make_payload(export: NetworkExport) -> dict[str, bytes]:
    _check_sizes(export)
    observation = np.ascontiguousarray(export.golden_observation, dtype=np.float32)
    if observation.shape != (NUM_GOLDEN, export.network.layer_sizes[0]) or not np.isfinite(observation).all():
        raise ArtifactError(
            f"golden observations have shape {observation.shape}; they must be finite and of shape "
            f"({NUM_GOLDEN}, {export.network.layer_sizes[0]}): see sample_golden_observations"
        )
    action = np.float32(export.residual_scale) * export.network.compute_action(observation)
    if export.golden_action is not None:
        _check_reproduced(action, export.golden_action)
    return {
        WEIGHTS_FILE: save(export.network.to_tensors()),
        GOLDEN_FILE: save({"observation": observation, "action": np.ascontiguousarray(action)}),
    }


def _check_reproduced(action: Float32Array, golden: Float32Array) -> None:
    difference = float(np.abs(action - golden).max()) if action.shape == golden.shape else float("inf")
    if not difference <= GOLDEN_TOLERANCE:
        raise ArtifactError(
            f"the exported network differs from the trainer's by {difference:.3g} on the golden observations (at most "
            f"{GOLDEN_TOLERANCE:g} is allowed): check the order and orientation of the layers and residual_scale"
        )

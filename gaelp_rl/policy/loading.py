"""Reading a policy artefact: every proof it owes, in order, before a single action is taken from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from gaelp_rl.errors import ArtifactError, SchemaError
from gaelp_rl.features.schema import FeatureSpec, ObservationSchema
from gaelp_rl.policy.files import (
    DIGEST_FILE,
    GOLDEN_FILE,
    MANIFEST_FILE,
    SIGNATURE_FILE,
    WEIGHTS_FILE,
    compute_sha256,
    load_artifact_files,
)
from gaelp_rl.policy.inference import LoadedPolicy, ResidualNetwork
from gaelp_rl.policy.manifest import (
    GOLDEN_TOLERANCE,
    NUM_GOLDEN,
    Manifest,
    NetworkManifest,
    ObservationManifest,
    load_manifest,
)
from gaelp_rl.policy.network import MlpNetwork
from gaelp_rl.policy.signature import ArtifactTrust

__all__ = ["check_artifact", "load_policy"]


def load_policy(
    path: Path, expected_schema: ObservationSchema | None = None, trust: ArtifactTrust | None = None
) -> LoadedPolicy:
    """Loads a policy artefact after it has passed every check; nothing is ever unpickled.

    The checks, in order: known plain files within their size limits; allow-list and signature, where
    ``trust`` demands them; sha256 of every file; the manifest's own rules; names, shapes and
    finiteness of the tensors; the observation schema; the 64 golden pairs within 1e-5.

    Args:
        path: the artefact directory.
        expected_schema: the schema of the observations that ``act`` will be given. It may be longer
            or shorter than the policy's own where one is a prefix of the other. None: the policy's own.
        trust: what the artefact must prove about its origin; None demands nothing.

    Returns:
        The policy, ready to act.

    Raises:
        ArtifactError: a check failed; names the file, what was found and the remedy.
    """
    return check_artifact(path, load_artifact_files(path), expected_schema, trust)


def check_artifact(
    path: Path,
    files: Mapping[str, bytes],
    expected_schema: ObservationSchema | None = None,
    trust: ArtifactTrust | None = None,
) -> LoadedPolicy:
    """Does what ``load_policy`` does with files that are already in memory.

    Args:
        path: where they are, or are about to be, for error messages.
        files: content by file name.
        expected_schema: as in ``load_policy``.
        trust: as in ``load_policy``.

    Returns:
        The policy, ready to act.

    Raises:
        ArtifactError: a check failed.
    """
    _check_present(path, files, (MANIFEST_FILE, DIGEST_FILE))
    content = files[MANIFEST_FILE]
    sha256 = compute_sha256(content)
    (trust or ArtifactTrust()).check(content, sha256, files.get(SIGNATURE_FILE), str(path))
    _check_manifest_digest(path, sha256, files[DIGEST_FILE])
    manifest = load_manifest(content, str(path / MANIFEST_FILE))
    _check_digests(path, manifest, files)
    network = None
    if manifest.network is not None:
        network = _load_network(path, files, manifest.network, expected_schema)
    return LoadedPolicy(manifest=manifest, sha256=sha256, network=network)


def _load_network(
    path: Path, files: Mapping[str, bytes], manifest: NetworkManifest, expected: ObservationSchema | None
) -> ResidualNetwork:
    layers = _load_layers(path / WEIGHTS_FILE, files[WEIGHTS_FILE], manifest)
    schema = _make_schema(path, manifest.observation)
    _check_fits(path, schema, expected or schema)
    network = ResidualNetwork(layers=layers, manifest=manifest, schema=schema, input_schema=schema)
    _check_golden(path / GOLDEN_FILE, files[GOLDEN_FILE], network)
    return replace(network, input_schema=expected or schema)


def _check_present(path: Path, files: Mapping[str, bytes], names: tuple[str, ...]) -> None:
    for name in names:
        if name not in files:
            raise ArtifactError(f"{path / name} is missing: the artefact is incomplete; copy or export it again")


def _check_manifest_digest(path: Path, sha256: str, recorded: bytes) -> None:
    if recorded != f"{sha256}  {MANIFEST_FILE}\n".encode():
        raise ArtifactError(
            f"{path / MANIFEST_FILE} has sha256 {sha256}, which is not what {DIGEST_FILE} records: one of the two was "
            "changed or damaged; copy or export the artefact again"
        )


def _check_digests(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    needed = (WEIGHTS_FILE, GOLDEN_FILE) if manifest.network is not None else ()
    if set(manifest.files) != set(needed):
        raise ArtifactError(
            f"{path / MANIFEST_FILE} lists {sorted(manifest.files)}, but kind {manifest.kind.value!r} has "
            f"{sorted(needed)}: export the policy again"
        )
    _check_present(path, files, needed)
    unlisted = files.keys() - {MANIFEST_FILE, DIGEST_FILE, SIGNATURE_FILE, *needed}
    if unlisted:
        raise ArtifactError(f"{path / min(unlisted)} is not listed in {MANIFEST_FILE}: export the policy again")
    for name, digest in manifest.files.items():
        found = compute_sha256(files[name])
        if (found, len(files[name])) != (digest.sha256, digest.size_bytes):
            raise ArtifactError(
                f"{path / name} has {len(files[name])} bytes and sha256 {found}, but {MANIFEST_FILE} records "
                f"{digest.size_bytes} and {digest.sha256}: it was changed or cut short; "
                "copy or export the artefact again"
            )


def _load_tensors(path: Path, content: bytes) -> dict[str, NDArray[np.generic]]:
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is no safetensors file ({error}): export the policy again") from error


def _load_layers(path: Path, content: bytes, manifest: NetworkManifest) -> MlpNetwork:
    try:
        return MlpNetwork.from_tensors(_load_tensors(path, content), manifest.layer_sizes)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _make_schema(path: Path, manifest: ObservationManifest) -> ObservationSchema:
    try:
        schema = ObservationSchema(
            version=manifest.version,
            features=tuple(FeatureSpec(**feature.model_dump()) for feature in manifest.features),
        )
    except (SchemaError, ValueError) as error:
        raise ArtifactError(f"{path / MANIFEST_FILE}: {error}: export the policy again") from error
    if schema.hash != manifest.schema_hash:
        raise ArtifactError(
            f"{path / MANIFEST_FILE}: the features listed hash to {schema.hash}, but schema_hash is "
            f"{manifest.schema_hash}: export the policy again"
        )
    return schema


def _check_fits(path: Path, schema: ObservationSchema, expected: ObservationSchema) -> None:
    try:
        schema.fit(np.zeros((1, expected.size), dtype=np.float32), expected)
    except SchemaError as error:
        raise ArtifactError(
            f"{path} was built for observation schema {schema.describe()}, and is given {expected.describe()}: {error}"
        ) from error


def _check_golden(path: Path, content: bytes, network: ResidualNetwork) -> None:
    tensors = _load_tensors(path, content)
    sizes = network.manifest.layer_sizes
    shapes = {"observation": (NUM_GOLDEN, sizes[0]), "action": (NUM_GOLDEN, sizes[-1])}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != shapes or any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise ArtifactError(f"{path} holds {found}, and must hold float32 {shapes}: export the policy again")
    try:
        action = network.act(tensors["observation"].astype(np.float32))
    except SchemaError as error:
        raise ArtifactError(f"{path}: {error}: export the policy again") from error
    difference = np.abs(action - tensors["action"].astype(np.float32)).max()
    if not difference <= GOLDEN_TOLERANCE:
        raise ArtifactError(
            f"{path}: the network's actions differ from the recorded ones by {difference:.3g} (at most "
            f"{GOLDEN_TOLERANCE:g} is allowed): the weights do not belong to this manifest; export the policy again"
        )

"""Who may have made an artefact: Ed25519 signatures, and what a loader demands before it trusts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from gaelp_rl.config.tracking import ArtifactTrustConfig
from gaelp_rl.errors import ArtifactError, ConfigError

__all__ = ["ArtifactTrust", "load_public_key", "load_signing_key", "make_artifact_trust", "sign_manifest"]

_CONTEXT = b"gaelp-policy-artifact-v1\0"
"""Prefix of what is signed, so that the key's signatures of other things prove nothing here."""

_SIGNATURE_BYTES = 64
_MAX_KEY_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class ArtifactTrust:
    """What an artefact must prove before it is loaded; nothing by default.

    Attributes:
        public_keys: when not empty, the manifest must be signed by one of these.
        allowed_sha256: when not empty, the sha256 of the manifest must be one of these.
    """

    public_keys: tuple[Ed25519PublicKey, ...] = ()
    allowed_sha256: frozenset[str] = frozenset()

    def check(self, manifest: bytes, manifest_sha256: str, signature: bytes | None, source: str) -> None:
        """Refuses an artefact that does not prove what is demanded.

        Args:
            manifest: the bytes of ``manifest.json``.
            manifest_sha256: their sha256.
            signature: the bytes of ``manifest.sig``, or None where there is none.
            source: the artefact's path, for error messages.

        Raises:
            ArtifactError: unsigned, signed by somebody else, or not in the allow-list.
        """
        if self.allowed_sha256 and manifest_sha256 not in self.allowed_sha256:
            raise ArtifactError(
                f"{source}: sha256 {manifest_sha256} is not in the allow-list of {len(self.allowed_sha256)} "
                "artefact(s): add it after review, or load an allowed one"
            )
        if not self.public_keys:
            return
        if signature is None:
            raise ArtifactError(
                f"{source} is unsigned (no manifest.sig), and a public key is configured: "
                "export it again with the signing key"
            )
        if len(signature) != _SIGNATURE_BYTES or not any(
            _is_signed_by(key, manifest, signature) for key in self.public_keys
        ):
            raise ArtifactError(
                f"{source}: manifest.sig was made by none of the {len(self.public_keys)} trusted key(s), or the "
                "manifest was changed after signing: export it again with a trusted signing key"
            )


def sign_manifest(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """Signs the bytes of a manifest; returns 64 bytes."""
    return key.sign(_CONTEXT + manifest)


def make_artifact_trust(config: ArtifactTrustConfig) -> ArtifactTrust:
    """Reads the public keys that a configuration names.

    Raises:
        ConfigError: a key file cannot be read or holds no Ed25519 public key.
    """
    return ArtifactTrust(
        public_keys=tuple(load_public_key(path) for path in config.public_key_files),
        allowed_sha256=frozenset(config.allowed_sha256),
    )


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Reads an Ed25519 public key in PEM.

    Raises:
        ConfigError: the file cannot be read or holds something else.
    """
    try:
        key = load_pem_public_key(_load_key_file(path))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(
            f"{path} holds no Ed25519 public key in PEM: make one with 'openssl pkey -in signing.pem -pubout'"
        )
    return key


def load_signing_key(config: ArtifactTrustConfig) -> Ed25519PrivateKey | None:
    """Reads the Ed25519 private key that a configuration holds or names.

    Returns:
        The key, or None where none is configured.

    Raises:
        ConfigError: the file cannot be read, or it is no unencrypted Ed25519 private key in PEM. The
            message holds no part of the key.
    """
    if config.signing_key is not None:
        content, source = config.signing_key.get_secret_value().encode(), "signing_key"
    elif config.signing_key_file is not None:
        content, source = _load_key_file(config.signing_key_file), str(config.signing_key_file)
    else:
        return None
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            f"{source} holds no unencrypted Ed25519 private key in PEM: "
            "make one with 'openssl genpkey -algorithm ed25519'"
        )
    return key


def _load_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise ConfigError(
            f"key file {path} cannot be read ({error.strerror or error}): check the path and its permissions"
        ) from error


def _is_signed_by(key: Ed25519PublicKey, manifest: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, _CONTEXT + manifest)
    except InvalidSignature:
        return False
    return True

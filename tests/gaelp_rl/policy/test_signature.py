from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import SecretStr

from gaelp_rl.config.tracking import ArtifactTrustConfig
from gaelp_rl.errors import ArtifactError, ConfigError
from gaelp_rl.policy import (
    ArtifactTrust,
    ControllerSpec,
    NetworkExport,
    Provenance,
    load_policy,
    load_signing_key,
    make_artifact_trust,
    save_policy,
)


def make_pem(key: Ed25519PrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def signed(
    tmp_path: Path,
    key: Ed25519PrivateKey,
    export: NetworkExport,
    controller: ControllerSpec,
    provenance: Provenance,
) -> Path:
    path = tmp_path / "signed"
    save_policy(path, controller=controller, provenance=provenance, network=export, signing_key=key)
    return path


def test_trust__signed_by_a_trusted_key_loads(signed: Path, key: Ed25519PrivateKey) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    assert load_policy(signed, trust=ArtifactTrust(public_keys=(other, key.public_key()))).network is not None


def test_trust__unsigned_is_refused_when_a_key_is_configured(artifact: Path, key: Ed25519PrivateKey) -> None:
    with pytest.raises(ArtifactError, match=r"unsigned \(no manifest.sig\).*export it again with the signing key"):
        load_policy(artifact, trust=ArtifactTrust(public_keys=(key.public_key(),)))


def test_trust__signed_by_somebody_else_is_refused(signed: Path) -> None:
    stranger = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(ArtifactError, match="none of the 1 trusted key"):
        load_policy(signed, trust=ArtifactTrust(public_keys=(stranger,)))


def test_trust__resealed_change_is_refused(signed: Path, key: Ed25519PrivateKey, reseal) -> None:
    """Whoever can write the files can make the hashes agree; only the signature stands in the way."""
    reseal(signed, lambda manifest: manifest["network"]["decode"].update(max_log_bid=5.0))
    load_policy(signed)
    with pytest.raises(ArtifactError, match="changed after signing"):
        load_policy(signed, trust=ArtifactTrust(public_keys=(key.public_key(),)))


@pytest.mark.parametrize("signature", [b"", b"x", b"\0" * 63, b"\0" * 64])
def test_trust__damaged_signature_is_refused(signed: Path, key: Ed25519PrivateKey, signature: bytes) -> None:
    (signed / "manifest.sig").write_bytes(signature)
    with pytest.raises(ArtifactError, match=r"manifest.sig was made by none"):
        load_policy(signed, trust=ArtifactTrust(public_keys=(key.public_key(),)))


def test_trust__bare_signature_of_the_manifest_is_no_artefact_signature(signed: Path, key: Ed25519PrivateKey) -> None:
    """A key that also signs other files must not authorise an artefact by accident."""
    (signed / "manifest.sig").write_bytes(key.sign((signed / "manifest.json").read_bytes()))
    with pytest.raises(ArtifactError, match=r"manifest.sig"):
        load_policy(signed, trust=ArtifactTrust(public_keys=(key.public_key(),)))


def test_trust__allow_list(artifact: Path) -> None:
    identity = hashlib.sha256((artifact / "manifest.json").read_bytes()).hexdigest()
    assert load_policy(artifact, trust=ArtifactTrust(allowed_sha256=frozenset({identity}))).sha256 == identity
    with pytest.raises(ArtifactError, match=f"{identity} is not in the allow-list of 1"):
        load_policy(artifact, trust=ArtifactTrust(allowed_sha256=frozenset({"0" * 64})))


def test_make_artifact_trust__reads_the_configured_keys(tmp_path: Path, signed: Path, key: Ed25519PrivateKey) -> None:
    public = tmp_path / "public.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    load_policy(signed, trust=make_artifact_trust(ArtifactTrustConfig(public_key_files=(public,))))


def test_make_artifact_trust__refuses_what_is_no_public_key(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    other = generate_private_key(SECP256R1()).public_key()
    elliptic = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for content in (b"", b"no key", make_pem(key), elliptic):
        path = tmp_path / "public.pem"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"public.pem holds no Ed25519 public key"):
            make_artifact_trust(ArtifactTrustConfig(public_key_files=(path,)))
    with pytest.raises(ConfigError, match=r"absent.pem cannot be read"):
        make_artifact_trust(ArtifactTrustConfig(public_key_files=(tmp_path / "absent.pem",)))


def test_load_signing_key__from_settings_or_file(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(make_pem(key))
    by_text = load_signing_key(ArtifactTrustConfig(signing_key=SecretStr(make_pem(key).decode())))
    by_file = load_signing_key(ArtifactTrustConfig(signing_key_file=path))
    assert by_text is not None
    assert by_file is not None
    assert by_text.sign(b"x") == by_file.sign(b"x") == key.sign(b"x")
    assert load_signing_key(ArtifactTrustConfig()) is None


def test_load_signing_key__error_holds_no_part_of_the_key(key: Ed25519PrivateKey) -> None:
    for pem in ("nonsense-secret", make_pem(key, BestAvailableEncryption(b"pw")).decode()):
        config = ArtifactTrustConfig(signing_key=SecretStr(pem))
        with pytest.raises(ConfigError, match="signing_key holds no unencrypted") as caught:
            load_signing_key(config)
        assert pem[-40:] not in str(caught.value)
        assert pem not in repr(config)

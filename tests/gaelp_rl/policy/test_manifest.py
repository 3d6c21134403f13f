from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gaelp_rl.errors import ArtifactError
from gaelp_rl.policy.manifest import PolicyKind, load_manifest, make_manifest_bytes


def test_make_manifest_bytes__reads_back_to_the_same_bytes(artifact: Path) -> None:
    content = (artifact / "manifest.json").read_bytes()
    manifest = load_manifest(content, "manifest.json")
    assert manifest.kind is PolicyKind.NETWORK
    assert make_manifest_bytes(manifest) == content


def test_num_parameters__counts_weights_and_biases(artifact: Path) -> None:
    """5 features, 8 hidden, 2 actions: 5*8 + 8 + 8*2 + 2 = 66."""
    network = load_manifest((artifact / "manifest.json").read_bytes(), "m").network
    assert network is not None
    assert network.num_parameters == 66


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda m: m.update(format_version=2), "format_version"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m.pop("controller"), "controller"),
        (lambda m: m.update(kind="controller"), "contradict"),
        (lambda m: m.update(kind="oracle"), "kind"),
        (lambda m: m.update(network=None), "contradict"),
        (lambda m: m["network"].update(architecture="lstm"), "architecture"),
        (lambda m: m["network"].update(residual_scale=1.5), "residual_scale"),
        (lambda m: m["network"].update(residual_scale="0.5"), "residual_scale"),
        (lambda m: m["network"].update(residual_scale=float("nan")), "residual_scale"),
        (lambda m: m["network"].update(layer_sizes=[6, 8, 2]), "6, 2.*5 features and 2 actions"),
        (lambda m: m["network"]["decode"].update(max_log_bid=0), "max_log_bid"),
        (lambda m: m["provenance"].update(created_at="2026-11-22T00:00:00"), "created_at"),
        (lambda m: m["provenance"].update(git_commit="HEAD; rm"), "git_commit"),
        (lambda m: m["files"]["weights.safetensors"].update(sha256="00"), "sha256"),
    ],
)
def test_load_manifest__names_the_field_that_breaks_the_rules(
    artifact: Path, change: Callable[[dict[str, Any]], None], field: str
) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    change(manifest)
    with pytest.raises(ArtifactError, match=rf"here/manifest\.json: .*{field}.*export the policy again"):
        load_manifest(json.dumps(manifest).encode(), "here/manifest.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"a":' * 100_000])
def test_load_manifest__refuses_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="this build reads artefact format 1"):
        load_manifest(content, "manifest.json")

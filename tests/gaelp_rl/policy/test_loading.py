"""Nothing damaged, swapped, mismatched or malicious gets as far as an action."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from gaelp_rl.errors import ArtifactError
from gaelp_rl.features.schema import FeatureSpec, ObservationSchema
from gaelp_rl.policy import load_policy

FILES = ("manifest.json", "manifest.sha256", "weights.safetensors", "golden.safetensors")


class Malicious:
    """Unpickling it creates a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("name", FILES)
def test_load_policy__names_a_missing_file(artifact: Path, name: str) -> None:
    (artifact / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} is missing"):
        load_policy(artifact)


@given(name=st.sampled_from(FILES), data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_load_policy__any_cut_or_flipped_bit_is_refused(artifact: Path, name: str, data: st.DataObject) -> None:
    whole = (artifact / name).read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        for damaged in (whole[:position], bytes(flipped), whole + b"\0"):
            (artifact / name).write_bytes(damaged)
            with pytest.raises(ArtifactError, match="policy"):
                load_policy(artifact)
    finally:
        (artifact / name).write_bytes(whole)


@pytest.mark.parametrize("name", [*FILES, "manifest.sig", "policy.pkl"])
@pytest.mark.parametrize("protocol", [0, 5])
def test_load_policy__pickle_in_any_slot_is_refused_and_never_run(
    artifact: Path, tmp_path: Path, reseal, name: str, protocol: int
) -> None:
    """Also where the attacker made all the hashes agree."""
    trace = tmp_path / "was_here"
    payload = pickle.dumps(Malicious(trace), protocol=protocol)
    pickle.loads(payload)
    assert trace.exists(), "the payload works"
    trace.unlink()
    (artifact / name).write_bytes(payload)
    if name.endswith(".safetensors"):
        reseal(artifact)
    with pytest.raises(ArtifactError, match=name.replace("manifest.sha256", "manifest.json")):
        load_policy(artifact)
    assert not trace.exists()


def test_load_policy__finds_no_class_by_pickle(artifact: Path) -> None:
    """The interpreter itself reports every class that an unpickler looks up, and here there is none."""
    lookups: list[object] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "pickle.find_class":
            lookups.append(arguments)

    sys.addaudithook(hook)
    pickle.loads(pickle.dumps(Path("x")))
    assert lookups, "the hook sees an unpickler at work"
    lookups.clear()
    policy = load_policy(artifact)
    policy.act(np.zeros((3, 5), np.float32))
    watching = False
    assert lookups == []


def test_load_policy__needs_neither_torch_nor_ray_nor_mlflow(artifact: Path) -> None:
    code = (
        "import sys, pathlib, numpy as np; from gaelp_rl.policy import load_policy\n"
        "load_policy(pathlib.Path(sys.argv[1])).act(np.zeros((1, 5), np.float32))\n"
        "print(sorted({'torch', 'ray', 'mlflow', 'cloudpickle'} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(artifact)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert result.stdout.strip() == "[]"


def test_load_policy__weights_of_another_policy_fail_the_golden_pairs(artifact: Path, reseal) -> None:
    tensors = load((artifact / "weights.safetensors").read_bytes())
    tensors["layers.1.bias"] += np.float32(1e-3)
    (artifact / "weights.safetensors").write_bytes(save(tensors))
    reseal(artifact)
    with pytest.raises(ArtifactError, match=r"golden\.safetensors: the network's actions differ.*do not belong"):
        load_policy(artifact)


def test_load_policy__changed_residual_scale_fails_the_golden_pairs(artifact: Path, reseal) -> None:
    reseal(artifact, lambda manifest: manifest["network"].update(residual_scale=1.0))
    with pytest.raises(ArtifactError, match="differ from the recorded ones"):
        load_policy(artifact)


@pytest.mark.parametrize(
    ("name", "tensors", "message"),
    [
        ("weights", {"layers.0.weight": np.zeros((5, 8), np.float32)}, "shape none, but the manifest says"),
        ("golden", {"observation": np.zeros((64, 5), np.float32)}, r"must hold float32 .*'action': \(64, 2\)"),
        (
            "golden",
            {"observation": np.full((64, 5), np.nan, np.float32), "action": np.zeros((64, 2), np.float32)},
            "google.cvr is nan",
        ),
        (
            "golden",
            {"observation": np.zeros((64, 5), np.float32), "action": np.full((64, 2), np.nan, np.float32)},
            "differ from the recorded ones by nan",
        ),
        ("golden", {"observation": np.zeros((64, 5)), "action": np.zeros((64, 2))}, "must hold float32"),
    ],
)
def test_load_policy__wrong_tensors(artifact: Path, reseal, name: str, tensors: dict[str, Any], message: str) -> None:
    (artifact / f"{name}.safetensors").write_bytes(save(tensors))
    reseal(artifact)
    with pytest.raises(ArtifactError, match=rf"{name}\.safetensors.*{message}"):
        load_policy(artifact)


def test_load_policy__non_finite_weights(artifact: Path, reseal) -> None:
    tensors = load((artifact / "weights.safetensors").read_bytes())
    tensors["layers.0.weight"][2, 3] = np.inf
    (artifact / "weights.safetensors").write_bytes(save(tensors))
    reseal(artifact)
    with pytest.raises(ArtifactError, match=r"weights\.safetensors: layer 0: its weight holds 1 non-finite"):
        load_policy(artifact)


@pytest.mark.parametrize("listed", [[], ["weights.safetensors"]])
def test_load_policy__manifest_must_cover_every_file(artifact: Path, reseal, listed: list[str]) -> None:
    reseal(artifact, lambda m: m.update(files={name: m["files"][name] for name in listed}))
    with pytest.raises(ArtifactError, match=r"lists .* has"):
        load_policy(artifact)


def test_load_policy__controller_with_stray_weights_is_refused(artifact: Path, reseal) -> None:
    reseal(artifact, lambda m: m.update(kind="controller", network=None, files={}))
    with pytest.raises(ArtifactError, match=r"\.safetensors is not listed in manifest\.json"):
        load_policy(artifact)


def test_load_policy__features_that_do_not_hash_to_the_schema(artifact: Path, reseal) -> None:
    reseal(artifact, lambda m: m["network"]["observation"]["features"][0].update(high=4.0))
    with pytest.raises(ArtifactError, match=r"hash to .* but schema_hash is"):
        load_policy(artifact)
    reseal(artifact, lambda m: m["network"]["observation"]["features"][0].update(name="nonsense"))
    with pytest.raises(ArtifactError, match="'nonsense' must say whose and what"):
        load_policy(artifact)


def test_load_policy__older_policy_reads_its_prefix(artifact: Path, schema: ObservationSchema) -> None:
    newer = ObservationSchema(4, (*schema.features, FeatureSpec("global.new", "ratio", -1.0, 1.0)))
    observation = np.random.default_rng(3).normal(size=(7, 6)).astype(np.float32)
    own = load_policy(artifact).act(np.ascontiguousarray(observation[:, :5]))
    np.testing.assert_allclose(load_policy(artifact, expected_schema=newer).act(observation), own, atol=1e-6)


def test_load_policy__newer_policy_is_padded_with_neutral(artifact: Path, schema: ObservationSchema) -> None:
    older = ObservationSchema(2, schema.features[:4])
    observation = np.random.default_rng(3).normal(size=(7, 4)).astype(np.float32)
    padded = np.concatenate([observation, np.full((7, 1), 0.25, np.float32)], axis=1)
    own = load_policy(artifact).act(padded)
    np.testing.assert_allclose(load_policy(artifact, expected_schema=older).act(observation), own, atol=1e-6)


def test_load_policy__other_schema_is_refused_and_both_are_named(artifact: Path, schema: ObservationSchema) -> None:
    other = ObservationSchema(9, (schema.features[1], schema.features[0], *schema.features[2:]))
    with pytest.raises(ArtifactError, match=r"built for observation schema v3 .*given v9 .*'google.cvr'.*'meta.cvr'"):
        load_policy(artifact, expected_schema=other)


def test_load_policy__copy_elsewhere_is_the_same_policy(artifact: Path, tmp_path: Path) -> None:
    shutil.copytree(artifact, tmp_path / "elsewhere")
    assert load_policy(tmp_path / "elsewhere").sha256 == load_policy(artifact).sha256

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gaelp_rl.errors import ArtifactError
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.features.schema import FeatureSpec, ObservationSchema
from gaelp_rl.policy import (
    ActionDecode,
    ControllerSpec,
    MlpNetwork,
    NetworkExport,
    PolicyKind,
    Provenance,
    load_policy,
    sample_golden_observations,
    save_policy,
)


def test_save_policy__round_trip_keeps_everything(
    tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance
) -> None:
    identity = save_policy(tmp_path / "p", controller=controller, provenance=provenance, network=export)
    policy = load_policy(tmp_path / "p")
    assert (policy.kind, policy.sha256) == (PolicyKind.NETWORK, identity)
    assert (policy.manifest.controller, policy.manifest.provenance) == (controller, provenance)
    assert policy.network is not None
    assert policy.network.schema == export.schema
    assert policy.network.manifest.decode == export.decode
    assert [action.name for action in policy.network.manifest.actions] == list(export.action_names)
    expected = np.float32(0.5) * export.network.compute_action(export.golden_observation)
    np.testing.assert_array_equal(policy.act(export.golden_observation), expected)


def test_save_policy__same_input_gives_the_same_identity(
    tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance
) -> None:
    identities = {
        save_policy(tmp_path / name, controller=controller, provenance=provenance, network=export) for name in "ab"
    }
    assert len(identities) == 1


def test_save_policy__digest_file_is_readable_by_sha256sum(artifact: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "manifest.sha256"], cwd=artifact, check=True)


def test_save_policy__schema_in_force_survives(
    tmp_path: Path, controller: ControllerSpec, provenance: Provenance
) -> None:
    """The real schema, with all its ranges and scalings, hashes to the same after JSON."""
    size = OBSERVATION_SCHEMA.size
    export = NetworkExport(
        network=MlpNetwork(weights=(np.zeros((size, 8), np.float32),), biases=(np.zeros(8, np.float32),)),
        schema=OBSERVATION_SCHEMA,
        action_names=tuple(f"a{i}" for i in range(8)),
        decode=ActionDecode(max_log_bid=0.4, max_logit=0.8),
        residual_scale=1.0,
        golden_observation=sample_golden_observations(OBSERVATION_SCHEMA, np.random.default_rng(0)),
    )
    save_policy(tmp_path / "p", controller=controller, provenance=provenance, network=export)
    network = load_policy(tmp_path / "p", expected_schema=OBSERVATION_SCHEMA).network
    assert network is not None
    assert network.schema.hash == OBSERVATION_SCHEMA.hash


def test_save_policy__controller_needs_a_manifest_only(
    tmp_path: Path, controller: ControllerSpec, provenance: Provenance
) -> None:
    save_policy(tmp_path / "p", controller=controller, provenance=provenance)
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"manifest.json", "manifest.sha256"}
    policy = load_policy(tmp_path / "p")
    assert policy.kind is PolicyKind.CONTROLLER
    assert policy.manifest.controller.parameters == {"margin": 0.05, "priors": [1.0, 2.0]}


def test_save_policy__refuses_a_network_that_the_trainer_does_not_recognise(
    tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance
) -> None:
    """Inference that differs from training is found when exporting, not when bidding."""
    golden = np.float32(0.5) * export.network.compute_action(export.golden_observation)
    same = dataclasses.replace(export, golden_action=golden + np.float32(5e-6))
    save_policy(tmp_path / "p", controller=controller, provenance=provenance, network=same)
    before = load_policy(tmp_path / "p").sha256
    for wrong in (golden + np.float32(1e-3), golden * np.float32(np.nan), golden[:10]):
        differing = dataclasses.replace(export, golden_action=wrong)
        with pytest.raises(ArtifactError, match="differs from the trainer's by"):
            save_policy(tmp_path / "p", controller=controller, provenance=provenance, network=differing)
    assert load_policy(tmp_path / "p").sha256 == before


def test_save_policy__refuses_parts_that_do_not_fit(
    tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance
) -> None:
    bad_golden = export.golden_observation.copy()
    bad_golden[3, 1] = np.nan
    for changes, message in (
        ({"action_names": ("only_one",)}, "5 features and there are 1 action names"),
        ({"golden_observation": bad_golden}, "must be finite"),
        (
            {"golden_observation": export.golden_observation[:63]},
            r"\(63, 5\); they must be finite and of shape \(64, 5\)",
        ),
    ):
        with pytest.raises(ArtifactError, match=message):
            save_policy(
                tmp_path / "p",
                controller=controller,
                provenance=provenance,
                network=dataclasses.replace(export, **changes),
            )
    assert not (tmp_path / "p").exists()


def test_save_policy__names_the_setting_that_is_out_of_range(
    tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance
) -> None:
    loud = dataclasses.replace(export, residual_scale=1.5)
    with pytest.raises(ArtifactError, match=r"residual_scale of the policy is 1\.5: .*less than or equal to 1"):
        save_policy(tmp_path / "p", controller=controller, provenance=provenance, network=loud)


def test_save_policy__whole_numbers_in_a_schema_keep_its_hash(
    tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance
) -> None:
    """The schema's hash tells the range 3 from the range 3.0, so JSON must bring back the one given."""
    first, *rest = export.schema.features
    whole = ObservationSchema(3, (FeatureSpec(first.name, first.unit, -3, 3, neutral=0.25), *rest))
    changed = dataclasses.replace(export, schema=whole)
    save_policy(tmp_path / "p", controller=controller, provenance=provenance, network=changed)
    network = load_policy(tmp_path / "p").network
    assert network is not None
    assert network.schema.hash == whole.hash


def test_sample_golden_observations__within_range_and_reproducible(schema: ObservationSchema) -> None:
    first, second = (sample_golden_observations(schema, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (64, 5)
    assert (first >= schema.low).all()
    assert (first <= schema.high).all()
    assert np.ptp(first, axis=0).min() > 4.0

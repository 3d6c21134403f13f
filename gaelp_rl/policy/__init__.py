"""The exported policy artefact: save, verify, load, infer. Nothing in it is ever unpickled."""

from __future__ import annotations

from gaelp_rl.policy.export import NetworkExport, sample_golden_observations, save_policy
from gaelp_rl.policy.inference import LoadedPolicy, ResidualNetwork
from gaelp_rl.policy.loading import load_policy
from gaelp_rl.policy.manifest import ActionDecode, ControllerSpec, Manifest, PolicyKind, Provenance
from gaelp_rl.policy.network import MlpNetwork
from gaelp_rl.policy.signature import ArtifactTrust, load_signing_key, make_artifact_trust

__all__ = [
    "ActionDecode",
    "ArtifactTrust",
    "ControllerSpec",
    "LoadedPolicy",
    "Manifest",
    "MlpNetwork",
    "NetworkExport",
    "PolicyKind",
    "Provenance",
    "ResidualNetwork",
    "load_policy",
    "load_signing_key",
    "make_artifact_trust",
    "sample_golden_observations",
    "save_policy",
]

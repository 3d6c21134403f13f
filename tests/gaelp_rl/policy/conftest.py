"""A small policy, saved; and the means to damage it in ways that the hashes do not notice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaelp_rl.features.schema import FeatureSpec, ObservationSchema
from gaelp_rl.policy import (
    ActionDecode,
    ControllerSpec,
    MlpNetwork,
    NetworkExport,
    Provenance,
    sample_golden_observations,
    save_policy,
)

Reseal = Callable[..., None]


@pytest.fixture
def schema() -> ObservationSchema:
    names = ("google.cvr", "meta.cvr", "global.hour_sin", "global.hour_cos", "global.budget_left")
    features = tuple(FeatureSpec(name, "ratio", -3.0, 3.0, neutral=0.25) for name in names)
    return ObservationSchema(version=3, features=features)


@pytest.fixture
def network(schema: ObservationSchema) -> MlpNetwork:
    rng = np.random.default_rng(7)
    sizes = (schema.size, 8, 2)
    pairs = list(pairwise(sizes))
    return MlpNetwork(
        weights=tuple(rng.normal(0, 0.5, pair).astype(np.float32) for pair in pairs),
        biases=tuple(rng.normal(0, 0.1, pair[1]).astype(np.float32) for pair in pairs),
    )


@pytest.fixture
def export(schema: ObservationSchema, network: MlpNetwork) -> NetworkExport:
    return NetworkExport(
        network=network,
        schema=schema,
        action_names=("google.bid", "meta.bid"),
        decode=ActionDecode(max_log_bid=0.4, max_logit=0.8),
        residual_scale=0.5,
        golden_observation=sample_golden_observations(schema, np.random.default_rng(11)),
    )


@pytest.fixture
def controller() -> ControllerSpec:
    return ControllerSpec(name="bayesian_resolving", parameters={"margin": 0.05, "priors": [1.0, 2.0]})


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(run_id="run-1", git_commit="0123abc", created_at=datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def artifact(tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance) -> Path:
    path = tmp_path / "policy"
    save_policy(path, controller=controller, provenance=provenance, network=export)
    return path


@pytest.fixture
def reseal() -> Reseal:
    """Rewrites every digest after a change: what an attacker without the signing key can do."""

    def rewrite(path: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
        manifest = json.loads((path / "manifest.json").read_text())
        for name in manifest["files"]:
            content = (path / name).read_bytes()
            manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        if change is not None:
            change(manifest)
        content = json.dumps(manifest).encode()
        (path / "manifest.json").write_bytes(content)
        (path / "manifest.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  manifest.json\n")

    return rewrite

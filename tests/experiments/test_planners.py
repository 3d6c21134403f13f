"""From references to planners, and the judge that runs them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from experiments.candidates import ScaledNetwork, load_snapshots, save_snapshot
from experiments.judge import judge, load_worlds
from experiments.planners import (
    load_comparators,
    make_comparator_planner,
    make_controller_spec,
    make_policy_planner,
    resolve_planner,
)
from gaelp_rl.config.market import load_family
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.errors import ArtifactError, UnknownReferenceError
from gaelp_rl.features.actions import ACTION_NAMES, ACTION_SIZE
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.policy import (
    ActionDecode,
    MlpNetwork,
    NetworkExport,
    Provenance,
    load_policy,
    sample_golden_observations,
    save_policy,
)

WORLDS = load_worlds(load_family("campaign").model_copy(update={"days": 3}), "validation", 50, 4)


def _make_network(last_layer: float) -> MlpNetwork:
    rng = np.random.default_rng(0)
    size = OBSERVATION_SCHEMA.size
    return MlpNetwork(
        weights=(
            rng.normal(0, 0.1, (size, 8)).astype(np.float32),
            rng.normal(0, last_layer, (8, ACTION_SIZE)).astype(np.float32),
        ),
        biases=(np.zeros(8, dtype=np.float32), np.zeros(ACTION_SIZE, dtype=np.float32)),
    )


def _save(path: Path, controller: str, network: MlpNetwork | None = None, scale: float = 1.0) -> Path:
    export = None
    if network is not None:
        export = NetworkExport(
            network=network,
            schema=OBSERVATION_SCHEMA,
            action_names=ACTION_NAMES,
            decode=ActionDecode(max_log_bid=0.4, max_logit=0.8),
            residual_scale=scale,
            golden_observation=sample_golden_observations(OBSERVATION_SCHEMA, np.random.default_rng(1)),
        )
    save_policy(
        path,
        controller=make_controller_spec(controller, load_comparators()),
        provenance=Provenance(run_id="test", git_commit="0" * 40, created_at=datetime(2026, 1, 1, tzinfo=UTC)),
        network=export,
    )
    return path


@pytest.mark.parametrize("name", sorted(COMPARATORS))
def test_controller_artefact__does_what_its_comparator_does(name: str, tmp_path: Path) -> None:
    """Tuple parameters and per-family tuning survive the artefact."""
    artefact = make_policy_planner("champion", load_policy(_save(tmp_path / "policy", name)))
    first, second = judge([make_comparator_planner(name), artefact], WORLDS)
    np.testing.assert_array_equal(first.spend, second.spend)
    assert second.policy == "champion"


def test_network_without_action__is_exactly_the_reference_controller(tmp_path: Path) -> None:
    path = _save(tmp_path / "policy", "reference", _make_network(0.0))
    silent, reference = judge([resolve_planner(str(path)), make_comparator_planner("reference")], WORLDS)
    np.testing.assert_array_equal(silent.spend, reference.spend)


def test_network_with_action__departs_from_it_and_the_scale_matters(tmp_path: Path) -> None:
    network = _make_network(0.3)
    paths = [_save(tmp_path / str(scale), "reference", network, scale) for scale in (1.0, 0.25)]
    planners = [*(resolve_planner(str(path)) for path in paths), make_comparator_planner("reference")]
    full, quarter, none = (outcome.spend for outcome in judge(planners, WORLDS))
    assert not np.array_equal(full, quarter)
    assert not np.array_equal(quarter, none)


def test_unknown_reference__suggests_the_nearest() -> None:
    with pytest.raises(UnknownReferenceError, match="'reference'"):
        resolve_planner("referense")


def test_snapshots__keep_the_newest_and_come_back_equal(tmp_path: Path) -> None:
    network = _make_network(0.2)
    for episodes in (0, 100, 2_000, 10_000):
        save_snapshot(tmp_path, episodes, network, kept=3)
    loaded = load_snapshots(tmp_path, network.layer_sizes)
    assert [int(name.rsplit("-", 1)[1]) for name in loaded] == [100, 2_000, 10_000]
    observation = sample_golden_observations(OBSERVATION_SCHEMA, np.random.default_rng(2))
    first, again = (ScaledNetwork(n, 0.5).act(observation) for n in (network, next(iter(loaded.values()))))
    np.testing.assert_array_equal(first, again)
    with pytest.raises(ArtifactError):
        load_snapshots(tmp_path, (1, 2, 3))

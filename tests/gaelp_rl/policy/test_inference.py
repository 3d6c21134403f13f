from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gaelp_rl.errors import ActionError, SchemaError
from gaelp_rl.policy import ControllerSpec, MlpNetwork, NetworkExport, Provenance, load_policy, save_policy


def test_act__is_residual_scale_times_tanh(artifact: Path, network: MlpNetwork) -> None:
    observation = np.random.default_rng(2).normal(size=(100, 5)).astype(np.float32)
    action = load_policy(artifact).act(observation)
    hidden = np.maximum(observation @ network.weights[0] + network.biases[0], 0)
    np.testing.assert_allclose(action, 0.5 * np.tanh(hidden @ network.weights[1] + network.biases[1]), atol=1e-6)
    assert action.dtype == np.float32
    assert np.abs(action).max() <= 0.5


def test_act__residual_scale_zero_is_the_reference_controller(
    tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance
) -> None:
    muted = dataclasses.replace(export, residual_scale=0.0)
    save_policy(tmp_path / "p", controller=controller, provenance=provenance, network=muted)
    assert not load_policy(tmp_path / "p").act(np.ones((4, 5), np.float32)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_act__names_the_feature_that_is_not_finite(artifact: Path, bad: float) -> None:
    observation = np.zeros((3, 5), np.float32)
    observation[2, 3] = bad
    with pytest.raises(SchemaError, match=rf"world 2: global\.hour_cos is {bad}"):
        load_policy(artifact).act(observation)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (3, 6), (1, 3, 5), ()])
def test_act__refuses_another_shape(artifact: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(SchemaError, match="do not fit schema v3"):
        load_policy(artifact).act(np.zeros(shape, np.float32))


def test_act__refuses_another_type(artifact: Path) -> None:
    with pytest.raises(SchemaError, match=r"float64, and must be float32 \[worlds, 5\]"):
        load_policy(artifact).act(np.zeros((3, 5)))  # type: ignore[arg-type]


def test_act__overflow_is_an_error_and_no_action(
    tmp_path: Path, export: NetworkExport, controller: ControllerSpec, provenance: Provenance
) -> None:
    """Finite weights and a finite observation can still meet as infinity minus infinity."""
    big = np.float32(3e38)
    weights = (np.full((5, 2), big), np.array([[1, 1], [-1, 1]], np.float32))
    network = MlpNetwork(weights=weights, biases=(np.zeros(2, np.float32), np.zeros(2, np.float32)))
    calm = np.zeros((64, 5), np.float32)
    wild = dataclasses.replace(export, network=network, golden_observation=calm)
    save_policy(tmp_path / "p", controller=controller, provenance=provenance, network=wild)
    with np.errstate(all="ignore"), pytest.raises(ActionError, match=r"action 'google\.bid' of world 0 is nan"):
        load_policy(tmp_path / "p").act(np.full((1, 5), 9.0, np.float32))


def test_act__controller_has_no_network(tmp_path: Path, controller: ControllerSpec, provenance: Provenance) -> None:
    save_policy(tmp_path / "p", controller=controller, provenance=provenance)
    with pytest.raises(ActionError, match=r"is the controller 'bayesian_resolving'.*build that controller"):
        load_policy(tmp_path / "p").act(np.zeros((1, 5), np.float32))


def test_act__no_worlds_no_actions(artifact: Path) -> None:
    assert load_policy(artifact).act(np.zeros((0, 5), np.float32)).shape == (0, 2)

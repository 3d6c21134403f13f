from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.errors import ArtifactError
from gaelp_rl.policy.network import MlpNetwork


def make_random_network(seed: int, sizes: list[int]) -> MlpNetwork:
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    return MlpNetwork(
        weights=tuple(rng.normal(size=pair).astype(np.float32) for pair in pairs),
        biases=tuple(rng.normal(size=pair[1]).astype(np.float32) for pair in pairs),
    )


def compute_slowly(network: MlpNetwork, row: list[float]) -> list[float]:
    """The same formula with Python floats and loops."""
    last = len(network.weights) - 1
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        sums = [
            float(bias[j]) + math.fsum(row[i] * float(weight[i, j]) for i in range(len(row))) for j in range(len(bias))
        ]
        row = [math.tanh(s) for s in sums] if index == last else [max(s, 0.0) for s in sums]
    return row


def test_compute_action__hand_derived() -> None:
    """Hidden: relu(1*2 - 2*1 + 1, 1*1 - 2*3 + 0) = (1, 0); output: tanh(1*0.5 + 0*9 + 0.25) = tanh(0.75)."""
    network = MlpNetwork(
        weights=(np.array([[2, 1], [1, 3]], np.float32), np.array([[0.5], [9]], np.float32)),
        biases=(np.array([1, 0], np.float32), np.array([0.25], np.float32)),
    )
    action = network.compute_action(np.array([[1, -2]], np.float32))
    assert action.dtype == np.float32
    assert action == pytest.approx(math.tanh(0.75), abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(1, 6))
def test_compute_action__equals_the_formula_in_plain_python(seed: int, sizes: list[int], worlds: int) -> None:
    network = make_random_network(seed, sizes)
    observation = np.random.default_rng(seed).normal(size=(worlds, sizes[0])).astype(np.float32)
    expected = [compute_slowly(network, [float(x) for x in row]) for row in observation]
    np.testing.assert_allclose(network.compute_action(observation), expected, atol=2e-5)


@given(st.integers(0, 2**32 - 1), st.permutations(range(7)))
def test_compute_action__worlds_do_not_see_each_other(seed: int, order: list[int]) -> None:
    network = make_random_network(seed, [5, 8, 3])
    observation = np.random.default_rng(seed).normal(size=(7, 5)).astype(np.float32)
    together = network.compute_action(observation)
    np.testing.assert_allclose(network.compute_action(observation[order]), together[order], atol=1e-6)
    np.testing.assert_allclose(network.compute_action(observation[3:4]), together[3:4], atol=1e-6)


def test_compute_action__leaves_the_observation_alone() -> None:
    observation = np.full((2, 4), -1.0, np.float32)
    make_random_network(1, [4, 3, 2]).compute_action(observation)
    assert (observation == -1.0).all()


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_from_tensors__inverts_to_tensors(seed: int, sizes: list[int]) -> None:
    network = make_random_network(seed, sizes)
    again = MlpNetwork.from_tensors(network.to_tensors(), tuple(sizes))
    assert again.layer_sizes == tuple(sizes)
    for name, tensor in again.to_tensors().items():
        np.testing.assert_array_equal(tensor, network.to_tensors()[name])


def test_from_tensors__names_the_tensor_that_does_not_fit() -> None:
    tensors = make_random_network(1, [4, 3, 2]).to_tensors()
    with pytest.raises(ArtifactError, match=r"'layers\.1\.weight' has shape \(3, 2\).*\(3, 5\)"):
        MlpNetwork.from_tensors({**tensors, "layers.1.bias": np.zeros(5, np.float32)}, (4, 3, 5))
    with pytest.raises(ArtifactError, match=r"'extra' has shape \(1,\).*none"):
        MlpNetwork.from_tensors({**tensors, "extra": np.zeros(1, np.float32)}, (4, 3, 2))
    with pytest.raises(ArtifactError, match=r"float64.*float32"):
        MlpNetwork.from_tensors({**tensors, "layers.0.bias": np.zeros(3)}, (4, 3, 2))


def test_network__refuses_layers_that_do_not_chain() -> None:
    """The usual slip: torch keeps a linear layer's weight as [outputs, inputs]."""
    first, second = np.zeros((4, 3), np.float32), np.zeros((2, 3), np.float32)
    with pytest.raises(ArtifactError, match=r"layer 0 gives 3 outputs and layer 1 takes 2.*transpose"):
        MlpNetwork(weights=(first, second), biases=(np.zeros(3, np.float32), np.zeros(3, np.float32)))
    with pytest.raises(ArtifactError, match=r"layer 0.*\(4, 3\).*\(2,\)"):
        MlpNetwork(weights=(first,), biases=(np.zeros(2, np.float32),))
    with pytest.raises(ArtifactError, match="as many biases as weights"):
        MlpNetwork(weights=(), biases=())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_network__refuses_non_finite_weights(bad: float) -> None:
    with pytest.raises(ArtifactError, match=r"layer 0: its bias holds 1 non-finite.*diverged"):
        MlpNetwork(weights=(np.zeros((2, 3), np.float32),), biases=(np.array([0, bad, 0], np.float32),))

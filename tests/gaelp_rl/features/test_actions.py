"""Decoding and encoding: inverse, budget-preserving, and exact at zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaelp_rl.errors import ActionError, ConfigError
from gaelp_rl.features.actions import ACTION_NAMES, ACTION_SIZE, ActionReach, check_action, decode_action, encode_action

REACH = ActionReach()
ACTIONS = arrays(np.float64, (3, ACTION_SIZE), elements=st.floats(-1.0, 1.0))
BIDS = arrays(np.float64, (3, 4), elements=st.floats(0.05, 20.0))
BUDGETS = arrays(np.float64, (3, 4), elements=st.floats(1.0, 500.0))
REACHES = st.builds(ActionReach, max_log_bid=st.floats(0.05, 2.0), max_logit=st.floats(0.05, 2.0))


@given(ACTIONS, BIDS, BUDGETS, REACHES)
def test_decode_action__undoes_encode_action(action, bid, budget, reach) -> None:
    """decode(encode(x)) = x for every plan x that an action can reach."""
    plan = decode_action(action, bid, budget, reach)
    again = decode_action(encode_action(*plan, bid, budget, reach), bid, budget, reach)
    np.testing.assert_allclose(again, plan, rtol=1e-9)


@given(ACTIONS, BIDS, BUDGETS, REACHES)
def test_encode_action__undoes_decode_action_up_to_equal_budget_offsets(action, bid, budget, reach) -> None:
    """Offsets that are the same in all channels cancel; of the actions left, the one around 0 is chosen."""
    encoded = encode_action(*decode_action(action, bid, budget, reach), bid, budget, reach)
    offsets = action[:, 4:]
    centred = offsets - 0.5 * (offsets.max(axis=1, keepdims=True) + offsets.min(axis=1, keepdims=True))
    np.testing.assert_allclose(encoded, np.concatenate([action[:, :4], centred], axis=1), atol=1e-9)


@given(ACTIONS, BIDS, BUDGETS)
def test_decode_action__keeps_the_total_budget(action, bid, budget) -> None:
    _, decoded = decode_action(action, bid, budget, REACH)
    np.testing.assert_allclose(decoded.sum(axis=1), budget.sum(axis=1), rtol=1e-12)
    assert (decoded > 0).all()


@given(BIDS, BUDGETS, st.sampled_from([np.float32, np.float64]))
def test_decode_action__zero_is_the_reference_exactly(bid, budget, dtype) -> None:
    decoded = decode_action(np.zeros((3, ACTION_SIZE), dtype), bid, budget, REACH)
    np.testing.assert_array_equal(decoded, (bid, budget))


def test_decode_action__by_hand() -> None:
    """Half of max_log_bid 0.4 is e^0.2; budget weights 100 e^0.8 and 300, rescaled to 400."""
    action = np.array([[0.5, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0]])
    bid, budget = decode_action(action, np.full((1, 4), 2.0), np.full((1, 4), 100.0), REACH)
    assert bid[0] == pytest.approx([2 * math.exp(0.2), 2.0, 2.0, 2 * math.exp(-0.4)])
    weight = 100 * math.exp(0.8)
    assert budget[0] == pytest.approx([weight * 400 / (weight + 300), *[100 * 400 / (weight + 300)] * 3])


def test_decode_action__survives_paused_channels_and_an_empty_reference() -> None:
    action = np.full((2, ACTION_SIZE), 0.7)
    budget = np.array([[100.0, 0.0, 50.0, 0.0], [0.0] * 4])
    reference_bid = np.array([[1.0, 0.0, 1.0, 1.0]] * 2)
    bid, decoded = decode_action(action, reference_bid, budget, REACH)
    assert bid[:, 1].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(decoded, budget)
    encoded = encode_action(bid, decoded, reference_bid, budget, REACH)
    np.testing.assert_allclose(encoded[:, 4:], 0.0, atol=1e-12)
    assert encoded[:, :4].tolist() == [pytest.approx([0.7, 0.0, 0.7, 0.7])] * 2


def test_encode_action__clips_what_no_action_reaches() -> None:
    ones = np.ones((1, 4))
    encoded = encode_action(np.array([[9.0, 0.0, 1.0, 1.0]]), np.array([[4.0, 0.0, 1.0, 1.0]]), ones, ones, REACH)
    assert encoded.tolist() == [
        [1.0, -1.0, 0.0, 0.0, pytest.approx(math.log(4) / 1.6), -1.0, *[pytest.approx(-math.log(4) / 1.6)] * 2]
    ]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1.01, -1.5])
@pytest.mark.parametrize("i", range(ACTION_SIZE))
def test_check_action__names_the_world_and_channel(broken, i) -> None:
    action = np.zeros((3, ACTION_SIZE), dtype=np.float32)
    action[2, i] = broken
    with pytest.raises(ActionError, match=f"world 2: {ACTION_NAMES[i]} is"):
        decode_action(action, np.ones((3, 4)), np.ones((3, 4)), REACH)


@pytest.mark.parametrize("shape", [(3, 7), (2, 8), (8,), (3, 8, 1)])
def test_check_action__refuses_another_shape(shape) -> None:
    with pytest.raises(ActionError, match=r"expected \(3, 8\)"):
        check_action(np.zeros(shape), num_worlds=3)


def test_check_action__allows_the_edge_at_single_precision() -> None:
    check_action(np.full((1, ACTION_SIZE), np.nextafter(np.float32(1.0), np.float32(2.0))), num_worlds=1)


@pytest.mark.parametrize("field", ["max_log_bid", "max_logit"])
@pytest.mark.parametrize("reach", [0.0, -1.0, 6.0, float("nan")])
def test_action_reach__refuses_what_is_no_reach(field, reach) -> None:
    with pytest.raises(ConfigError, match=field):
        ActionReach(**{field: reach})

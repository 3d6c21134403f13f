"""The learner's schedule, its complete state, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

from gaelp_rl.errors import DataError
from gaelp_rl.training.learner import FastSACLearner, keep_freed_memory, make_learner_batch
from gaelp_rl.training.state_codec import decode_state, encode_state
from tests.gaelp_rl.training.learner_fixtures import BATCH, make_learner, sample_batch


def _update(learner: FastSACLearner, seed: int = 0, minibatches: int = 2) -> Any:
    batch = sample_batch(seed, BATCH * minibatches)
    return learner.update(make_learner_batch(batch, batch.rewards))[DEFAULT_MODULE_ID]


def _read(learner: FastSACLearner, *parts: str) -> torch.Tensor:
    module = learner.module[DEFAULT_MODULE_ID]
    return torch.cat([p.detach().reshape(-1) for part in parts for p in getattr(module, part).parameters()])


def test_learner__actor_and_temperature_rest_while_the_critics_warm_up() -> None:
    learner = make_learner(FastSACLearner, critic_warmup_updates=4)
    actor, critic = _read(learner, "pi_encoder", "pi"), _read(learner, "qf_encoder", "qf")
    log_alpha = learner.curr_log_alpha[DEFAULT_MODULE_ID].item()
    _update(learner)
    _update(learner)
    torch.testing.assert_close(_read(learner, "pi_encoder", "pi"), actor, rtol=0, atol=0)
    assert learner.curr_log_alpha[DEFAULT_MODULE_ID].item() == log_alpha
    assert not torch.equal(_read(learner, "qf_encoder", "qf"), critic)
    _update(learner)
    assert not torch.equal(_read(learner, "pi_encoder", "pi"), actor)


def test_learner__reports_td_errors_in_the_order_of_the_batch() -> None:
    """The first minibatch's errors belong to the untouched critics: recomputed by hand there."""
    learner = make_learner(FastSACLearner)
    batch = sample_batch(0, 2 * BATCH)
    module = learner.module[DEFAULT_MODULE_ID]
    before = [
        module._qf_forward_train_helper(
            {"obs": torch.from_numpy(batch.observations), "actions": torch.from_numpy(batch.actions)}, encoder, head
        )
        for encoder, head in ((module.qf_encoder, module.qf), (module.qf_twin_encoder, module.qf_twin))
    ]
    batch.discounts[:] = 0.0
    result = learner.update(make_learner_batch(batch, batch.rewards))[DEFAULT_MODULE_ID]
    td_errors = np.concatenate(result["td_error"].peek())
    assert td_errors.shape == (2 * BATCH,)
    expected = sum((q - torch.from_numpy(batch.rewards)).abs() for q in before)[:BATCH] / 2.0
    np.testing.assert_allclose(td_errors[:BATCH], expected.detach(), rtol=1e-5)


def test_learner__importance_weight_zero_removes_a_transition() -> None:
    """Two batches that differ only where the weight is zero give the same critics."""
    learners = [make_learner(FastSACLearner) for _ in range(2)]
    for learner, reward in zip(learners, (0.0, 100.0), strict=True):
        batch = sample_batch(0)
        batch.weights[3] = 0.0
        batch.rewards[3] = reward
        learner.update(make_learner_batch(batch, batch.rewards))
    one, two = (_read(learner, "qf_encoder", "qf") for learner in learners)
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_learner__action_penalty_pulls_the_policy_to_zero() -> None:
    norms = []
    for penalty in (0.0, 10.0):
        learner = make_learner(FastSACLearner, action_penalty=penalty)
        for seed in range(60):
            result = _update(learner, seed)
        norms.append(result["action_norm"].peek())
    assert norms[1] < 0.2 * norms[0]


def test_learner__state_continues_bit_for_bit() -> None:
    """Through the pickle-free codec: weights, moments, temperature, noise and the warm-up count."""
    learner = make_learner(FastSACLearner, critic_warmup_updates=3)
    _update(learner)
    state = decode_state(*encode_state(learner.get_state(not_components="metrics_logger")))
    restored = make_learner(FastSACLearner, critic_warmup_updates=3, seed=99)
    for _ in range(3):
        _update(restored, 55)
    restored.set_state(state)
    for one in (learner, restored):
        _update(one, 1)
    for parts in (("pi_encoder", "pi"), ("qf_encoder", "qf_twin"), ("target_qf_encoder", "target_qf_twin")):
        torch.testing.assert_close(_read(restored, *parts), _read(learner, *parts), rtol=0, atol=0)
    alphas = [one.curr_log_alpha[DEFAULT_MODULE_ID].item() for one in (learner, restored)]
    assert alphas[0] == alphas[1]


@pytest.mark.parametrize("count", [0, BATCH - 1, BATCH + 1])
def test_learner__refuses_half_minibatches(count: int) -> None:
    batch = sample_batch(0, count)
    with pytest.raises(DataError, match="multiple of the minibatch size 16"):
        make_learner(FastSACLearner).update(make_learner_batch(batch, batch.rewards))
    with pytest.raises(DataError, match="make_learner_batch"):
        make_learner(FastSACLearner).update()


def test_keep_freed_memory__says_whether_it_could() -> None:
    assert isinstance(keep_freed_memory(), bool)

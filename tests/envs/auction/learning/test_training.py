"""When training ends, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from envs.auction.learning.adam import make_moments
from envs.auction.learning.training import (
    NEVER,
    TrainingRule,
    check_loss,
    sample_layer,
    start_training,
    step_training,
)
from gaelp_rl.errors import DataError

RULE = TrainingRule(epochs=50, patience=5, learning_rate=0.1, weight_decay=0.0, plateau=NEVER)


def count_epochs(losses: list[float]) -> int:
    """Epochs until training ends if the losses are these, the last one for ever."""
    parameters, moments, progress = np.zeros(1), make_moments(1), start_training(RULE)
    epoch = 0
    while not progress.ended:
        loss = losses[min(epoch, len(losses) - 1)]
        progress = step_training(parameters, np.ones(1), moments, progress, epoch, loss, RULE)
        epoch += 1
    return epoch


def test_training__ends_after_the_epochs_allowed() -> None:
    assert count_epochs([-float(k) for k in range(100)]) == 50


def test_training__ends_when_patience_is_exceeded() -> None:
    """The best loss came in epoch 2; epoch 8 is the first that lies more than 5 after it: 9 epochs."""
    assert count_epochs([3.0, 2.0, 1.0]) == 9


def test_training__an_improvement_of_less_than_a_millionth_is_none() -> None:
    assert count_epochs([1.0 - 1e-8 * k for k in range(100)]) == 7
    assert count_epochs([1.0 - 2e-6 * k for k in range(100)]) == 50


def test_training__a_loss_that_is_no_number_ends_it_at_once_and_moves_nothing() -> None:
    parameters = np.zeros(1)
    progress = step_training(parameters, np.ones(1), make_moments(1), start_training(RULE), 0, math.nan, RULE)
    assert progress.ended
    assert parameters[0] == 0.0


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_check_loss__names_the_model_and_what_to_do(loss: float) -> None:
    check_loss(0.5, "click model", 7)
    with pytest.raises(DataError, match=r"click model on 7 records.*must be finite.*gamma_sigma"):
        check_loss(loss, "click model", 7)


def test_layer__is_uniform_within_one_over_the_root_of_its_fan_in() -> None:
    """A uniform draw from +-b has variance b**2 / 3."""
    layer = sample_layer(3, 20_000, np.random.default_rng(0))
    assert np.abs(layer).max() <= 1.0 / math.sqrt(3.0)
    assert layer.var() == pytest.approx(1.0 / 9.0, rel=0.03)

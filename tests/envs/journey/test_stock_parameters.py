"""Every choice is defined for every score that its model can give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from envs.journey.choice import check_scores
from envs.journey.stock_parameters import CHOICE_PARAMETERS, CHOICES, MODELS, STOCK_CHOICES, check_journey
from gaelp_rl.errors import ConfigError

EXTREME_SCORES = {
    "interest_evolution": [-1.0, 1.0],
    "interest_exploration": [0.0, math.exp(0.7 + 0.45) + math.exp(0.8 + 0.45)],
}
"""Interests are in [-1, 1]; affinities and qualities are log-normal, here 4.5 standard deviations up at once."""


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("model", EXTREME_SCORES)
def test_choices__are_legal_for_extreme_scores(model: str, choice: str) -> None:
    check_scores(np.array(EXTREME_SCORES[model]), CHOICE_PARAMETERS[model, choice])


def test_choices__exist_for_every_model() -> None:
    assert set(CHOICE_PARAMETERS) == {(model, choice) for model in MODELS for choice in CHOICES}
    assert set(STOCK_CHOICES) == set(MODELS)


def test_names__are_checked_with_suggestions() -> None:
    check_journey("ads", "mnl", "random")
    with pytest.raises(ConfigError, match="Did you mean 'interest_evolution'"):
        check_journey("interest_evolutoin", "mnl", "random")

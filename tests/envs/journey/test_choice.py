"""Choice models against probabilities recorded from ``recsim``, and their own properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.journey.choice import choose_position, compute_choice_probabilities, compute_choice_weights
from envs.journey.stock_parameters import CHOICE_PARAMETERS, EXPONENTIAL_CASCADE, MNL, PROPORTIONAL, ChoiceParameters
from gaelp_rl.errors import ConfigError
from tests.envs.journey.recsim_reference import load_rows, read_numbers

KINDS = {"mnl": MNL, "mp": PROPORTIONAL, "expcascade": EXPONENTIAL_CASCADE}
SCORES = st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=6)
UNIFORMS = st.floats(0.0, 1.0, exclude_max=True)
CHOICES = st.sampled_from([CHOICE_PARAMETERS["interest_evolution", name] for name in ("mnl", "proportional")])
ANY_CHOICE = st.sampled_from([row for (model, _), row in CHOICE_PARAMETERS.items() if model == "interest_evolution"])


def make_recorded_choice(row: dict[str, str]) -> ChoiceParameters:
    """recsim's own defaults where a cell is empty: no click has mass exp(-inf) in a logit, else 0."""
    return ChoiceParameters(
        KINDS[row["model"]],
        no_click_mass=float(row["no_click_mass"] or (-math.inf if row["model"] == "mnl" else 0.0)),
        min_normalizer=float(row["min_normalizer"] or 0.0),
        attention=float(row["attention_prob"] or 1.0),
        score_scaling=float(row["score_scaling"] or 1.0),
    )


def compute_kernel_probabilities(scores: np.ndarray, choice: ChoiceParameters) -> np.ndarray:
    weights = np.empty(scores.size + 1)
    compute_choice_weights(scores, scores.size, choice, weights)
    return weights / weights.sum()


def test_probabilities__equal_the_recorded_ones() -> None:
    rows = load_rows("vectors_choice.csv")
    assert len(rows) == 140
    for row in rows:
        scores, expected = read_numbers(row["scores"]), read_numbers(row["probs_then_no_click"])
        choice = make_recorded_choice(row)
        np.testing.assert_allclose(compute_choice_probabilities(scores, choice), expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(compute_kernel_probabilities(scores, choice), expected, rtol=0, atol=1e-12)


@given(SCORES, ANY_CHOICE)
def test_probabilities__add_up_to_one_in_both_forms(scores: list[float], choice: ChoiceParameters) -> None:
    probabilities = compute_choice_probabilities(np.array([scores, scores]), choice)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert (probabilities >= 0.0).all()
    np.testing.assert_allclose(probabilities[1], compute_kernel_probabilities(np.array(scores), choice), atol=1e-12)


@given(SCORES, CHOICES, st.randoms(use_true_random=False))
def test_probabilities__move_with_the_slate(scores: list[float], choice: ChoiceParameters, random) -> None:
    """Logit and proportional choice do not care about positions."""
    order = list(range(len(scores)))
    random.shuffle(order)
    before = compute_choice_probabilities(np.array(scores), choice)
    after = compute_choice_probabilities(np.array(scores)[order], choice)
    np.testing.assert_allclose(after[:-1], before[:-1][order], atol=1e-12)
    assert after[-1] == pytest.approx(before[-1], abs=1e-12)


@given(SCORES, ANY_CHOICE, st.data())
def test_probability__rises_with_an_item_s_own_score(scores: list[float], choice: ChoiceParameters, data) -> None:
    index = data.draw(st.integers(0, len(scores) - 1))
    raised = np.array(scores)
    raised[index] = data.draw(st.floats(scores[index], 1.0))
    before, after = (compute_choice_probabilities(of, choice)[index] for of in (np.array(scores), raised))
    assert after >= before - 1e-12


@given(SCORES, ANY_CHOICE, UNIFORMS)
def test_position__counts_cumulative_probabilities_up_to_the_uniform(
    scores: list[float], choice: ChoiceParameters, uniform: float
) -> None:
    probabilities = compute_choice_probabilities(np.array(scores), choice)
    cumulative = probabilities.cumsum()
    cumulative /= cumulative[-1]
    if np.abs(cumulative - uniform).min() < 1e-12:
        return
    drawn = choose_position(np.array(scores), len(scores), choice, np.empty(len(scores) + 1), uniform)
    assert drawn == int((cumulative <= uniform).sum())


@pytest.mark.parametrize(
    ("scores", "choice", "message"),
    [
        ([0.0, -2.0], ChoiceParameters(PROPORTIONAL, min_normalizer=-1.0), "-2 lies below min_normalizer -1"),
        ([0.0], ChoiceParameters(PROPORTIONAL, -3.0, -1.0), "-3 lies below min_normalizer -1"),
        ([0.5], ChoiceParameters(EXPONENTIAL_CASCADE, score_scaling=0.7), "needs at most 1"),
        ([0.0, math.nan], ChoiceParameters(MNL), "must be finite"),
    ],
)
def test_probabilities__refuse_scores_that_the_choice_cannot_use(
    scores: list[float], choice: ChoiceParameters, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        compute_choice_probabilities(np.array(scores), choice)

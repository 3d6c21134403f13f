"""Who is champion: evidence from test worlds, and permission from validation worlds."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.candidates import Candidate, ScaledNetwork
from experiments.champion import INCUMBENT, compute_sprint_verdict
from experiments.evaluate import Judgement
from experiments.validation import FamilyValidation, Validation
from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.market import load_family
from gaelp_rl.evaluation.comparison import compare
from gaelp_rl.evaluation.outcomes import WorldOutcomes
from gaelp_rl.policy import MlpNetwork

WORLDS, DAYS, CHANNELS = 40, 2, 4


def _make_outcomes(policy: str, gain: float) -> WorldOutcomes:
    rng = np.random.default_rng(0)
    conversions = np.full((WORLDS, DAYS, CHANNELS), 4.0) * (1.0 + gain) * rng.uniform(0.9, 1.0, (WORLDS, 1, 1))
    return WorldOutcomes(
        policy=policy,
        family="campaign",
        seeds=np.arange(WORLDS),
        expected_conversions=conversions,
        realised_conversions=np.rint(conversions),
        spend=np.full((WORLDS, DAYS, CHANNELS), 100.0),
        optimum=np.full(WORLDS, 40.0),
        plan_changes=np.ones(WORLDS),
        mean_abs_change=np.zeros(WORLDS),
        knows_truth=False,
    )


def _make_judgement(gain: float) -> Judgement:
    objective = load_family("campaign").objective
    outcomes = [_make_outcomes("policy", gain), _make_outcomes("reference", 0.0), _make_outcomes("even-split", -0.2)]
    config = EvaluationConfig(bootstrap_resamples=200)
    return Judgement((compare(outcomes, {"reference", "even-split"}, objective, config),), None)


def _make_candidate(score: float) -> Candidate:
    network = MlpNetwork((np.zeros((2, 8), np.float32),), (np.zeros(8, np.float32),))
    validation = Validation({"campaign": FamilyValidation(0.9, score, 0.001)})
    return Candidate("average", ScaledNetwork(network, 0.5), validation)


def test_policy_above_zero_on_both__is_champion():
    verdict = compute_sprint_verdict(_make_judgement(0.05), _make_candidate(0.01))
    assert (verdict.champion, verdict.better, verdict.better_on) == ("policy", True, ("campaign",))


@pytest.mark.parametrize("score", [0.0, -0.01])
def test_policy_that_validation_did_not_choose__is_never_champion(score):
    """Winning on test worlds alone would be choosing on test worlds."""
    verdict = compute_sprint_verdict(_make_judgement(0.05), _make_candidate(score))
    assert (verdict.champion, verdict.better, verdict.better_on) == ("reference", False, ())
    assert "validation" in verdict.reasons["campaign"][-1]


def test_policy_that_loses__leaves_the_best_controller_champion():
    verdict = compute_sprint_verdict(_make_judgement(-0.05), _make_candidate(0.01))
    assert (verdict.champion, verdict.better) == ("reference", False)


def test_policy_that_does_not_beat_the_champion_so_far__leaves_it_champion():
    """A short sprint after a long one must not depose what the long one found."""
    objective = load_family("campaign").objective
    outcomes = [_make_outcomes("policy", 0.05), _make_outcomes("reference", 0.0), _make_outcomes(INCUMBENT, 0.08)]
    comparison = compare(outcomes, {"reference", INCUMBENT}, objective, EvaluationConfig(bootstrap_resamples=200))
    verdict = compute_sprint_verdict(Judgement((comparison,), None), _make_candidate(0.01))
    assert (verdict.champion, verdict.better) == (INCUMBENT, False)

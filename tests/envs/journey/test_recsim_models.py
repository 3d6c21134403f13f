"""RecSim's own classes, as this project drives them, against recorded steps of the original."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from envs.journey.ads_config import AdsJourneyConfig
from envs.journey.recsim_models import (
    JourneySeeds,
    RecSimJourney,
    make_choice_model,
    make_journey_seeds,
    make_recsim_journey,
)
from envs.journey.recsim_package import lend_random_stream, load_recsim
from envs.journey.stock_parameters import (
    CHOICES,
    EXPONENTIAL_CASCADE,
    INTEREST_EVOLUTION,
    LONG_TERM_SATISFACTION,
    MNL,
    MODELS,
    PROPORTIONAL,
    ChoiceParameters,
    SessionSizes,
)
from gaelp_rl.errors import ConfigError
from tests.envs.journey.recorded_streams import make_recorded_stream

DATA = Path(__file__).resolve().parents[2] / "data" / "recsim"
SEEDS = JourneySeeds(users=11, documents=22, choices=33, policy=44)


def read_rows(name: str) -> list[dict[str, str]]:
    path = DATA / name
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_floats(cell: str) -> np.ndarray:
    return np.array([float(word) for word in cell.split()])


class _Scored:
    """A user whose score of a document is the document."""

    @staticmethod
    def score_document(score: float) -> float:
        return score


def test_choice_models__give_the_recorded_probabilities() -> None:
    kinds = {"mnl": MNL, "mp": PROPORTIONAL, "expcascade": EXPONENTIAL_CASCADE}
    rows = read_rows("vectors_choice.csv")
    for row in rows:
        parameters = ChoiceParameters(
            kinds[row["model"]],
            no_click_mass=float(row["no_click_mass"] or (0.0 if row["model"] == "mp" else "-inf")),
            min_normalizer=float(row["min_normalizer"] or 0.0),
            attention=float(row["attention_prob"] or 1.0),
            score_scaling=float(row["score_scaling"] or 1.0),
        )
        model = make_choice_model(parameters)
        model.score_documents(_Scored, read_floats(row["scores"]))
        masses = np.append(model.scores, model.score_no_click)
        expected = read_floats(row["probs_then_no_click"])
        np.testing.assert_allclose(masses / masses.sum(), expected, rtol=0, atol=1e-12)
    assert len(rows) == 140


def test_interest_evolution__takes_the_recorded_steps() -> None:
    """Whole steps of the original, its own drawing included, on the uniforms it consumed."""
    recsim = load_recsim()
    journey = make_recsim_journey("interest_evolution", None, SEEDS)
    journey.reset()
    rows = read_rows("vectors_iev_step.csv.gz")
    for row in rows:
        journey.user.user_interests = read_floats(row["interests_before"])
        journey.user.time_budget = float(row["budget_before"])
        documents = journey.environment.candidate_set._documents
        for place, key in enumerate(list(documents)[:2]):
            cluster = int(row[f"cluster{place}"])
            documents[key] = recsim.interest_evolution.IEvVideo(
                key, np.eye(20)[cluster], cluster, 4.0, float(row[f"quality{place}"])
            )
        uniforms = [float(row["u_choice"]), *([float(row["u_flip"])] if int(row["clicked_pos"]) >= 0 else [])]
        with lend_random_stream(make_recorded_stream(uniforms)):
            result = journey.step([0, 1])
        assert result.clicked == int(row["clicked_pos"])
        assert result.reward == pytest.approx(float(row["watch_time"]), abs=1e-12)
        assert result.terminated == bool(int(row["done"]))
        assert journey.user.time_budget == pytest.approx(float(row["budget_after"]), abs=1e-12)
        expected = read_floats(row["interests_after"])
        np.testing.assert_allclose(journey.user.user_interests, expected, rtol=0, atol=1e-12)
    assert len(rows) == 400


def test_long_term_satisfaction__takes_the_recorded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    recsim = load_recsim()
    journey = make_recsim_journey("long_term_satisfaction", None, SEEDS)
    journey.reset()
    rows = read_rows("vectors_lts_step.csv")
    for row in rows:
        journey.user.net_positive_exposure = float(row["npe_before"])
        journey.user.satisfaction = float(row["satisfaction_before"])
        journey.user.time_budget = int(row["time_budget_after"]) + 1
        documents = journey.environment.candidate_set._documents
        key = next(iter(documents))
        documents[key] = recsim.long_term_satisfaction.LTSDocument(key, float(row["clickbait"]))
        normals = iter((float(row["z_engagement"]), float(row["z_innovation"])))
        monkeypatch.setattr(np.random, "normal", lambda loc=0.0, scale=1.0, z=normals: loc + scale * next(z))
        result = journey.step([0, 1])
        assert result.clicked == 0
        assert result.reward == pytest.approx(float(row["engagement"]), rel=1e-12)
        assert journey.user.net_positive_exposure == pytest.approx(float(row["npe_after"]), abs=1e-12)
        assert journey.user.satisfaction == pytest.approx(float(row["satisfaction_after"]), abs=1e-12)
        assert journey.user.time_budget == int(row["time_budget_after"])
    assert len(rows) == 200


def test_stock_parameters__are_those_of_the_package() -> None:
    """Of users as its samplers make them; the batched sessions take theirs from the same table."""
    user = make_recsim_journey("interest_evolution", None, SEEDS).user
    for name in ("time_budget", "step_penalty", "user_update_alpha"):
        assert getattr(user, name) == pytest.approx(getattr(INTEREST_EVOLUTION, name), rel=1e-15)
    user = make_recsim_journey("long_term_satisfaction", None, SEEDS).user
    for name in ("choc_mean", "kale_mean", "sensitivity", "memory_discount", "time_budget"):
        assert getattr(user, name) == getattr(LONG_TERM_SATISFACTION, name)
    assert user.innovation_stddev == LONG_TERM_SATISFACTION.innovation_sd


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("choice", CHOICES)
def test_choices__are_legal_for_every_model(model: str, choice: str) -> None:
    """RecSim asserts its own conditions; 100 users meet the far ends of the scores."""
    journey = make_recsim_journey(model, choice, SEEDS)
    with lend_random_stream(journey.stream):
        for _ in range(100):
            journey.reset()
            result = journey.step(np.argsort(-journey.compute_scores())[:2].tolist())
            assert len(result.responses) == 2


@pytest.mark.parametrize("model", MODELS)
def test_seeds__give_the_same_sessions_and_others_give_others(model: str) -> None:
    def play(journey: RecSimJourney) -> list[float]:
        played = []
        with lend_random_stream(journey.stream):
            for _ in range(3):
                journey.reset()
                for _ in range(8):
                    played += [*journey.compute_scores(), journey.step([1, 0]).reward]
        return played

    first, again, other = (play(make_recsim_journey(model, None, make_journey_seeds(seed))) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_journey_seeds__differ_between_streams_and_runs() -> None:
    drawn = [seed for run in range(50) for seed in make_journey_seeds(run)[:4]]
    assert len(set(drawn)) == len(drawn)


def test_sizes__reach_every_model() -> None:
    for model in MODELS:
        journey = make_recsim_journey(model, None, SEEDS, SessionSizes(7, 3))
        journey.reset()
        assert len(journey.documents) == 7
        assert journey.environment.slate_size == 3
        assert journey.compute_scores().shape == journey.compute_qualities().shape == (7,)


def test_quality__is_the_opposite_of_clickbait_where_documents_have_no_other() -> None:
    journey = make_recsim_journey("long_term_satisfaction", None, SEEDS)
    journey.reset()
    np.testing.assert_array_equal(journey.compute_qualities(), -journey.compute_scores())


def test_unknown_names__suggest_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'interest_evolution'"):
        make_recsim_journey("interest_evolutoin", None, SEEDS)
    with pytest.raises(ConfigError, match="'proportional'"):
        make_recsim_journey("ads", "proportionate", SEEDS)
    with pytest.raises(ConfigError, match="rising order"):
        make_recsim_journey("ads", None, SEEDS, SessionSizes(30, 2), AdsJourneyConfig())

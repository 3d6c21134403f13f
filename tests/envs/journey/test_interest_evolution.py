"""Interest-evolution users against steps recorded from ``recsim``, and against a slow session of our own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.journey.choice import choose_position, compute_choice_probabilities
from envs.journey.interest_evolution import (
    compute_topic_quality,
    run_sessions,
    sample_interests,
    sample_quality,
    sample_topic,
    watch_document,
)
from envs.journey.slates import make_slate_memory
from envs.journey.statistics import SESSION_COLUMNS
from envs.journey.stock_parameters import CHOICE_PARAMETERS, INTEREST_EVOLUTION, POLICIES, SessionSizes
from envs.journey.user_streams import (
    CHOICE_SLOT,
    FLIP_SLOT,
    SLATE_SLOT,
    draw_positions,
    make_run_key,
    make_user_keys,
)
from envs.market.noise import sample_uniform
from tests.envs.journey.recsim_reference import load_rows, read_numbers

STOCK = CHOICE_PARAMETERS["interest_evolution", "proportional"]
QUALITY = compute_topic_quality(INTEREST_EVOLUTION)


def test_topics__have_the_documented_mean_qualities() -> None:
    """14 from -3 to 0 and 6 from 0 to 3: -0.6 on average."""
    assert QUALITY.shape == (20,)
    assert QUALITY.mean() == pytest.approx(-0.6)
    assert (QUALITY[0], QUALITY[13], QUALITY[14], QUALITY[19]) == (-3.0, 0.0, 0.0, 3.0)


def test_step__equals_the_recorded_ones() -> None:
    """400 whole steps, with the uniforms that ``recsim`` used."""
    rows = load_rows("vectors_iev_step.csv.gz")
    assert len(rows) == 400
    for row in rows:
        interests, expected = read_numbers(row["interests_before"]), read_numbers(row["interests_after"])
        topics = [int(row["cluster0"]), int(row["cluster1"])]
        clicked = choose_position(interests[topics], 2, STOCK, np.empty(3), float(row["u_choice"]))
        assert (clicked if clicked < 2 else -1) == int(row["clicked_pos"])
        watched, budget = 0.0, float(row["budget_before"])
        if clicked == 2:
            budget -= INTEREST_EVOLUTION.step_penalty
        else:
            quality, flip = float(row[f"quality{clicked}"]), float(row["u_flip"])
            watched, budget = watch_document(interests, topics[clicked], quality, budget, flip, INTEREST_EVOLUTION)
        assert watched == pytest.approx(float(row["watch_time"]), abs=1e-12)
        assert budget == pytest.approx(float(row["budget_after"]), abs=1e-12)
        assert (budget <= 0.0) == bool(int(row["done"]))
        np.testing.assert_allclose(interests, expected, rtol=0, atol=1e-12)


@given(
    st.lists(st.floats(-1.0, 1.0), min_size=20, max_size=20),
    st.integers(0, 19),
    st.floats(-3.5, 3.5),
    st.floats(1e-6, 200.0),
    st.floats(0.0, 1.0, exclude_max=True),
)
def test_click__keeps_interests_and_budget_within_bounds(interests, topic, quality, budget, uniform) -> None:
    """Interests stay in [-1, 1]; a document of quality up to 3.5 never gives more time than it took."""
    after = np.array(interests)
    watched, left = watch_document(after, topic, quality, budget, uniform, INTEREST_EVOLUTION)
    assert (np.abs(after) <= 1.0).all()
    assert np.delete(after, topic).tolist() == np.delete(interests, topic).tolist()
    assert 0.0 < watched <= min(budget, 4.0)
    assert budget - 4.0 * (1.0 + 3.5 * 0.9 / 3.4) <= left < budget


def run_slowly(run_key: np.uint64, user: int, choice_name: str, policy: str, sizes: SessionSizes) -> dict[str, float]:
    """One session with every document drawn, in plain Python and NumPy."""
    key = make_user_keys(run_key, np.array([user]))[0]
    choice = CHOICE_PARAMETERS["interest_evolution", choice_name]
    interests, budget, step = np.empty(20), 200.0, 0
    sample_interests(key, interests)
    row = {"interest_mean_start": interests.mean(), "clicks": 0, "first_slot_clicks": 0, "reward": 0.0}
    row["quality_sum"] = 0.0
    candidates = range(sizes.num_candidates)
    while budget > 0.0:
        step += 1
        topics = np.array([sample_topic(key, step, k, 20) for k in candidates])
        qualities = np.array([sample_quality(key, step, k, QUALITY[topics[k]], 0.1) for k in candidates])
        order = np.empty(sizes.num_candidates, dtype=np.int64)
        draw_positions(key, step, SLATE_SLOT, 1, sizes.slate_size, order)
        likings = {"greedy_pctr": interests[topics], "greedy_quality": qualities}
        if policy != "random":
            order = np.argsort(-likings[policy], kind="stable")
        slate = order[: sizes.slate_size]
        cumulative = compute_choice_probabilities(interests[topics[slate]], choice).cumsum()
        clicked = int((cumulative / cumulative[-1] <= sample_uniform(key, step, CHOICE_SLOT)).sum())
        if clicked == sizes.slate_size:
            budget -= 0.5
            continue
        topic, quality = topics[slate[clicked]], qualities[slate[clicked]]
        flip = sample_uniform(key, step, FLIP_SLOT)
        watched, budget = watch_document.py_func(interests, topic, quality, budget, flip, INTEREST_EVOLUTION)
        row["clicks"] += 1
        row["first_slot_clicks"] += clicked == 0
        row["reward"] += watched
        row["quality_sum"] += quality
    return {**row, "length": step, "end_budget": budget, "interest_mean_end": interests.mean()}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("choice", ["proportional", "mnl", "exponential_cascade"])
def test_session__equals_one_with_every_document_drawn(choice: str, policy: str) -> None:
    """What nobody looks at need not be drawn; ties go to the lower position."""
    sizes = SessionSizes(7, 3)
    key, rows, clicks = make_run_key(5), np.empty((4, len(SESSION_COLUMNS))), np.zeros(27_000, dtype=np.int64)
    memory, parameters = make_slate_memory(sizes), CHOICE_PARAMETERS["interest_evolution", choice]
    run_sessions(key, 10, QUALITY, INTEREST_EVOLUTION, parameters, POLICIES.index(policy), memory, rows, clicks)
    for user in range(4):
        expected = run_slowly(key, 10 + user, choice, policy, sizes)
        actual = dict(zip(SESSION_COLUMNS, rows[user], strict=True))
        assert {name: actual[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert clicks.sum() == rows[:, SESSION_COLUMNS.index("clicks")].sum()

"""Long-term-satisfaction users against steps recorded from ``recsim``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.journey.batched_sessions import simulate_sessions
from envs.journey.long_term_satisfaction import compute_satisfaction, engage_user
from envs.journey.stock_parameters import LONG_TERM_SATISFACTION
from tests.envs.journey.recsim_reference import load_rows


def test_step__equals_the_recorded_ones() -> None:
    """200 whole steps, with the normals that ``recsim`` used."""
    rows = load_rows("vectors_lts_step.csv")
    assert len(rows) == 200
    for row in rows:
        number = {name: float(cell) for name, cell in row.items()}
        engagement, exposure = engage_user(
            number["npe_before"],
            number["clickbait"],
            number["z_engagement"],
            number["z_innovation"],
            LONG_TERM_SATISFACTION,
        )
        sensitivity = LONG_TERM_SATISFACTION.sensitivity
        assert compute_satisfaction(number["npe_before"], sensitivity) == pytest.approx(
            number["satisfaction_before"], abs=1e-12
        )
        assert engagement == pytest.approx(number["engagement"], rel=1e-12)
        assert exposure == pytest.approx(number["npe_after"], abs=1e-12)
        assert compute_satisfaction(exposure, sensitivity) == pytest.approx(number["satisfaction_after"], abs=1e-12)


@given(st.floats(-4.0, 4.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(-4.0, 4.0))
def test_clickbait__engages_now_and_wears_out(exposure: float, low: float, high: float, normal: float) -> None:
    low, high = min(low, high), max(low, high)
    kale, choc = (engage_user(exposure, of, normal, 0.0, LONG_TERM_SATISFACTION) for of in (low, high))
    assert choc[0] >= kale[0] - 1e-9
    assert choc[1] <= kale[1] + 1e-12


def test_policies__order_clickbait() -> None:
    """The best and worst of ten uniform scores average 10/11 and 1/11."""
    means = {
        policy: simulate_sessions("long_term_satisfaction", "mnl", policy, 2_000, 0).column("clickbait_sum").mean() / 60
        for policy in ("greedy_pctr", "random", "greedy_quality")
    }
    assert means["greedy_pctr"] == pytest.approx(10 / 11, abs=2e-3)
    assert means["random"] == pytest.approx(1 / 2, abs=5e-3)
    assert means["greedy_quality"] == pytest.approx(1 / 11, abs=2e-3)

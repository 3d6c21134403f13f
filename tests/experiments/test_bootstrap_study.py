"""How episodes to a score are counted."""

from __future__ import annotations

from experiments.bootstrap_study import count_episodes_to_reach


def test_count_episodes_to_reach__first_validation_at_the_score():
    curve = [(0, -1.0), (10, 0.4), (20, 0.2), (30, 0.5)]
    assert count_episodes_to_reach(curve, 0.4) == 10
    assert count_episodes_to_reach(curve, -2.0) == 0
    assert count_episodes_to_reach(curve, 0.6) == float("inf")

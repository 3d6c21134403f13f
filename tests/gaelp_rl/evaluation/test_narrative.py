"""The sentences that marketers read."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.evaluation.narrative import describe_feasibility
from gaelp_rl.evaluation.volume import VolumeCurve


def make_curve(last: float) -> VolumeCurve:
    """125 a week on $500 a day; ``last`` on $8,000."""
    return VolumeCurve(
        np.array([500.0, 8000.0]), np.array([[125.0, last]]), np.array([[3500.0, 56000.0]]), cpa_target=100.0
    )


@pytest.mark.parametrize(
    ("last", "goal", "phrases"),
    [
        (600.0, 1000.0, ["about 125 conversions a week", "would need 3.50 USD", "12 % of it", "No budget up to 8,000"]),
        (1125.0, 1000.0, ["would need 3.50 USD per conversion", "It would take about 7,062 USD a day"]),
        (600.0, 100.0, ["within reach of the market", "at 28.00 USD each"]),
    ],
)
def test_describe_feasibility__by_hand(last: float, goal: float, phrases: list[str]) -> None:
    """$3,500 a week over 1,000 conversions is $3.50; 1,000 lies 875 / 1,000 of the way to $8,000."""
    text = describe_feasibility(make_curve(last), 500.0, goal, "USD")
    for phrase in phrases:
        assert phrase in text

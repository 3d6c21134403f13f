"""What the spaces of journeys promise."""

from __future__ import annotations

import numpy as np
import pytest

from envs.journey.ads_config import AdsJourneyConfig, compute_conversion_delay
from envs.journey.spaces import make_action_space, make_observation_space
from envs.journey.stock_parameters import MODELS, SessionSizes

SIZES, ADS = SessionSizes(6, 3), AdsJourneyConfig(num_candidates=6, slate_size=3)


@pytest.mark.parametrize(
    ("model", "user", "document", "response"),
    list(zip(MODELS, (20, None, None, 8), (20, 3, 1, 10), (3, 2, 2, 3), strict=True)),
)
def test_observation_space__has_the_fields_of_its_model(
    model: str, user: int | None, document: int, response: int
) -> None:
    space = make_observation_space(model, SIZES, ADS)
    shapes = {"documents": (6, document), "response": (3, response)} | ({"user": (user,)} if user else {})
    assert {name: box.shape for name, box in space.spaces.items()} == shapes
    for box in space.spaces.values():
        assert box.dtype == np.float32
        assert np.isfinite(box.low).all()
        assert np.isfinite(box.high).all()


def test_observation_space_of_ads__holds_the_longest_delay_and_the_most_exposures() -> None:
    """The largest double below 1 gives the longest delay; 40 page views of 3 places the most exposures."""
    space = make_observation_space("ads", SIZES, ADS)
    longest = compute_conversion_delay(ADS.delay, 1.0 - 2.0**-53, 1.0 - 2.0**-53)
    assert np.float32(longest) <= space["response"].high[0, 2] == pytest.approx(longest, rel=1e-6)
    assert space["documents"].high[0, -1] == 120.0


def test_action_space__is_one_position_per_place() -> None:
    assert make_action_space(SIZES).nvec.tolist() == [6, 6, 6]

"""What an agent sees of a journey and what it may do, as Gymnasium spaces."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.journey.ads_config import AdsJourneyConfig
from envs.journey.stock_parameters import INTEREST_EVOLUTION, INTEREST_EXPLORATION, SessionSizes

__all__ = ["ENGAGEMENT_LIMIT", "QUALITY_LIMIT", "make_action_space", "make_observation_space"]

QUALITY_LIMIT = 100.0
"""Qualities are observed up to here, as in RecSim."""

ENGAGEMENT_LIMIT = 100.0
"""Engagement is observed up to here, as in RecSim; rewards are not limited."""

_Bounds = list[tuple[float, float]]


def make_action_space(sizes: SessionSizes) -> spaces.MultiDiscrete:
    """A slate: for each of its places the position of a candidate, int64 [slate_size]."""
    return spaces.MultiDiscrete(np.full(sizes.slate_size, sizes.num_candidates, dtype=np.int64))


def make_observation_space(model: str, sizes: SessionSizes, ads: AdsJourneyConfig) -> spaces.Dict:
    """Named float32 arrays: ``user`` where users can be observed, ``documents`` and ``response``.

    Args:
        model: a name of ``MODELS``.
        sizes: candidates and slate.
        ads: parameters of the model ``ads``.
    """
    user, document, response = _make_bounds(model, sizes, ads)
    boxes: dict[str, spaces.Space[Any]] = {
        "documents": _make_box(document, sizes.num_candidates),
        "response": _make_box(response, sizes.slate_size),
    }
    if user:
        boxes["user"] = _make_box(user)
    return spaces.Dict(boxes)


def _make_bounds(model: str, sizes: SessionSizes, ads: AdsJourneyConfig) -> tuple[_Bounds, _Bounds, _Bounds]:
    """Bounds of the user's, a document's and a response's fields, in their order."""
    flag, quality = (0.0, 1.0), (-QUALITY_LIMIT, QUALITY_LIMIT)
    if model == "interest_evolution":
        topics = INTEREST_EVOLUTION.num_topics
        watched = (0.0, INTEREST_EVOLUTION.document_length)
        return [(-1.0, 1.0)] * topics, [flag] * topics, [flag, watched, quality]
    if model == "interest_exploration":
        return [], [flag] * len(INTEREST_EXPLORATION.topic_quality) + [quality], [flag, quality]
    if model == "long_term_satisfaction":
        return [], [flag], [flag, (0.0, ENGAGEMENT_LIMIT)]
    page_views = math.ceil(ads.time_budget / ads.page_view_time)
    exposures = (0.0, float(page_views * sizes.slate_size))
    longest_quantile = -math.log(2.0**-53)
    delay = (0.0, longest_quantile * max((0.0, *ads.delay.mean_hours)))
    return [(-1.0, 1.0)] * ads.num_topics, [flag] * ads.num_topics + [quality, exposures], [flag, flag, delay]


def _make_box(bounds: _Bounds, rows: int | None = None) -> spaces.Box:
    low, high = (np.array(edge, dtype=np.float32) for edge in zip(*bounds, strict=True))
    if rows is not None:
        low, high = _repeat(low, rows), _repeat(high, rows)
    return spaces.Box(low, high, dtype=np.float32)


def _repeat(edge: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    return np.tile(edge, (rows, 1))

"""Logged auctions drawn at random, for kernels that take rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    """Each float64 [n]."""

    ctr: np.ndarray
    item_value: np.ndarray
    gamma: np.ndarray
    propensity: np.ndarray
    utility: np.ndarray
    won: np.ndarray
    noise: np.ndarray


def sample_rows(n: int, rng: np.random.Generator) -> Rows:
    """Propensities and utilities of both signs spread so far that every clip of a loss binds somewhere."""
    return Rows(
        ctr=rng.uniform(0.01, 0.99, n),
        item_value=rng.lognormal(0.1, 0.2, n),
        gamma=np.clip(rng.normal(0.7, 0.3, n), 0.0, 1.0),
        propensity=np.exp(rng.uniform(-9.0, 4.0, n)),
        utility=rng.normal(0.0, 0.5, n),
        won=(rng.random(n) < 0.5).astype(np.float64),
        noise=rng.standard_normal(n),
    )

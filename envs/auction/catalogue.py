"""Every advertiser's items: where they lie in the space of contexts, and what a click is worth.

The draws and their order are AuctionGym's own, so that a seed gives AuctionGym's catalogue to the last bit.

Source: AuctionGym (Apache-2.0); Jeunen, Murphy, Allison, "Off-Policy Learning-to-Bid with AuctionGym",
KDD 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.auction.config import AuctionConfig

__all__ = ["Catalogue", "make_catalogue", "make_catalogues"]

_VALUE_LOG_MEAN, _VALUE_LOG_SIGMA = 0.1, 0.2
_INTERCEPT_TOP, _INTERCEPT_RANGE = -3.0, 1.0


class Catalogue(NamedTuple):
    """The items of all agents in all worlds, an agent's items side by side.

    Attributes:
        first_item: int64 [agents + 1]; agent a owns items ``first_item[a]`` to ``first_item[a + 1]``.
        weights: float64 [worlds, items, d + 1]; log-odds of a click per unit of context, intercept last.
        item_values: float64 [worlds, items]; USD per click.
    """

    first_item: NDArray[np.int64]
    weights: NDArray[np.float64]
    item_values: NDArray[np.float64]


def make_catalogue(config: AuctionConfig, seed: int) -> Catalogue:
    """The catalogue of one world, as AuctionGym draws it from ``seed``.

    Args:
        config: the experiment; its own ``random_seed`` is not used.
        seed: at least 0.

    Returns:
        A catalogue of one world.
    """
    rng = np.random.default_rng(seed)
    sizes = [agent.num_items for agent in config.expand_agents()]
    embeddings = [rng.normal(0.0, config.embedding_var, size=(size, config.embedding_size)) for size in sizes]
    item_values = [rng.lognormal(_VALUE_LOG_MEAN, _VALUE_LOG_SIGMA, size) for size in sizes]
    intercepts = [_INTERCEPT_TOP - _INTERCEPT_RANGE * rng.random((size, 1)) for size in sizes]
    return Catalogue(
        np.cumsum([0, *sizes], dtype=np.int64),
        np.hstack((np.vstack(embeddings), np.vstack(intercepts)))[None],
        np.concatenate(item_values)[None],
    )


def make_catalogues(config: AuctionConfig, seeds: Sequence[int]) -> Catalogue:
    """The catalogues of several worlds in one, in the order of ``seeds``, of which there is at least one."""
    worlds = [make_catalogue(config, seed) for seed in seeds]
    return Catalogue(
        worlds[0].first_item,
        np.concatenate([world.weights for world in worlds]),
        np.concatenate([world.item_values for world in worlds]),
    )

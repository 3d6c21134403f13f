"""A bidder with one shading factor, moved after each iteration to where its utility was best.

Source: AuctionGym (Apache-2.0), empirical shading.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords, BidDraw

__all__ = ["EmpiricalShadedBidder", "compute_best_gamma"]

_BUCKET_WIDTH = 0.005
_CONFIDENCE = 1.96
_SQRT_2_PI = float(np.sqrt(2.0 * np.pi))


def compute_best_gamma(
    gamma: NDArray[np.float64], utility: NDArray[np.float64], closed_top: bool, otherwise: float
) -> float:
    """The shading factor whose neighbourhood has the highest lower confidence bound of the mean utility.

    The factors' range is cut into equal buckets of about 0.005; a bucket with at least two samples is worth
    its mean minus 1.96 standard errors, and the best one's midpoint is taken, the higher on ties.

    Args:
        gamma: float64 [n]; shading factors.
        utility: float64 [n]; what each bid brought, USD.
        closed_top: whether the highest factors belong to the highest bucket. AuctionGym leaves them out, and
            with them all factors that were clipped to 1.
        otherwise: the answer where no bucket has two samples.

    Returns:
        The factor, 0 to 1.
    """
    if gamma.size == 0:
        return otherwise
    low, high = float(gamma.min()), float(gamma.max())
    edges = np.linspace(low, high, int((high - low) // _BUCKET_WIDTH) + 1)
    num_buckets = edges.size - 1
    if num_buckets < 1:
        return otherwise
    bucket = np.searchsorted(edges, gamma, side="right") - 1
    if closed_top:
        bucket = np.minimum(bucket, num_buckets - 1)
    inside = bucket < num_buckets
    bucket, utility = bucket[inside], utility[inside]
    count = np.bincount(bucket, minlength=num_buckets)
    enough = count >= 2
    if not enough.any():
        return otherwise
    size = np.maximum(count, 1)
    mean = np.bincount(bucket, utility, num_buckets) / size
    variance = np.bincount(bucket, (utility - mean[bucket]) ** 2, num_buckets) / size
    bound = np.where(enough, mean - _CONFIDENCE * np.sqrt(variance / size), -np.inf)
    best = num_buckets - 1 - int(np.argmax(bound[::-1]))
    return float(np.clip((edges[best] + edges[best + 1]) / 2.0, 0.0, 1.0))


class EmpiricalShadedBidder:
    """Draws its shading factor around a mean that `compute_best_gamma` moves.

    Args:
        gamma_sigma: standard deviation of the draws, which are clipped to 0 to 1.
        init_gamma: mean at the start.
        closed_top: as for `compute_best_gamma`.
        rng: where draws come from.
    """

    def __init__(self, gamma_sigma: float, init_gamma: float, closed_top: bool, rng: np.random.Generator) -> None:
        self.mean_gamma = init_gamma
        self._sigma = gamma_sigma
        self._closed_top = closed_top
        self._rng = rng

    def draw(self, item_values: NDArray[np.float64], estimated_ctr: NDArray[np.float64]) -> BidDraw:
        """Bids the shaded worth; the propensity is that of the factor before it is clipped."""
        noise = self._rng.standard_normal(item_values.shape[0])
        gamma = np.clip(self.mean_gamma + self._sigma * noise, 0.0, 1.0)
        scale = self._sigma * _SQRT_2_PI
        propensity = np.exp(-0.5 * noise**2) / scale if scale > 0.0 else np.ones_like(noise)
        return BidDraw(item_values * estimated_ctr * gamma, gamma, propensity)

    def update(self, records: AgentRecords) -> None:
        """Moves the mean to where utility was best."""
        self.mean_gamma = compute_best_gamma(
            records.gamma, records.compute_utility(), self._closed_top, self.mean_gamma
        )

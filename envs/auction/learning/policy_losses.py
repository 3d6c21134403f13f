"""What bid shading policies minimise, each with its gradient.

n logged auctions; x is a row's click probability and item value, gamma its logged shading factor (clipped),
pi0 the logged density, u the realised utility; pi(gamma | x), mean m and width s are the policy's.

Source: Jeunen, Murphy, Allison, "Off-Policy Learning-to-Bid with AuctionGym", KDD 2023, sections 4.2 and 4.3;
AuctionGym (Apache-2.0) for the constants. The gradients are derived by hand.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.learning.elementary import FAST, compute_exponential
from envs.auction.learning.gaussian_policy import (
    LEAST_SIGMA,
    compute_policy,
    compute_slopes,
    store_gradient,
    unpack_policy,
)
from envs.auction.learning.win_rate import Four, compute_worth, unpack_win_rate

__all__ = [
    "compute_doubly_robust_loss",
    "compute_imitation_loss",
    "compute_modelled_loss",
    "compute_weighted_loss",
]

_IMITATED_SIGMA = 0.05
_LEAST_DENSITY = 1e-30
_ROOT_TWO_PI = 2.5066282746310002
_NO_SLOPES = (0.0,) * 12

FloatArray = NDArray[np.float64]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_imitation_loss(
    parameters: FloatArray, estimated_ctr: FloatArray, item_value: FloatArray, gamma: FloatArray, gradient: FloatArray
) -> float:
    """Mean of (m - gamma)**2 + (s - 0.01 - 0.05)**2: the policy learns to do as was done.

    Args:
        parameters: float64 [12], of the policy.
        estimated_ctr: float64 [n].
        item_value: float64 [n], USD.
        gamma: float64 [n].
        gradient: float64 [12]; overwritten.
    """
    n = gamma.shape[0]
    loss, slopes, policy = 0.0, _NO_SLOPES, unpack_policy(parameters)
    for i in range(n):
        row = compute_policy(policy, estimated_ctr[i], item_value[i])
        by_mu, by_sigma = row.mu - gamma[i], row.raw_sigma - _IMITATED_SIGMA
        loss += by_mu * by_mu + by_sigma * by_sigma
        slopes = compute_slopes(policy, row, estimated_ctr[i], item_value[i], 2.0 * by_mu, 2.0 * by_sigma, slopes)
    store_gradient(slopes, 1.0 / n, gradient)
    return loss / n


@njit(cache=True, inline="always", error_model="numpy", fastmath=FAST)
def _compute_weight(z: float, sigma: float, propensity: float) -> tuple[float, float]:
    """The importance weight pi / pi0, pi at least 1e-30, and the weight that it has a slope with (0 at the floor)."""
    density = compute_exponential(-0.5 * z * z) / (sigma * _ROOT_TWO_PI)
    weight = max(density, _LEAST_DENSITY) / propensity
    return weight, weight if density >= _LEAST_DENSITY else 0.0


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_weighted_loss(
    parameters: FloatArray,
    estimated_ctr: FloatArray,
    item_value: FloatArray,
    gamma: FloatArray,
    propensity: FloatArray,
    utility: FloatArray,
    weight_bound: float,
    divergence_weight: float,
    gradient: FloatArray,
) -> float:
    """Mean of -min(w u, clip(w, 1 / B, B) u) + D ((m - gamma) / s)**2 / 2, with w = pi(gamma | x) / pi0.

    B = infinity leaves weights as they are; pi0 = 1 makes it REINFORCE, B = 50 PPO, D = 0.05 TRPO.

    Args:
        parameters: float64 [12], of the policy.
        estimated_ctr: float64 [n].
        item_value: float64 [n], USD.
        gamma: float64 [n].
        propensity: float64 [n], pi0.
        utility: float64 [n], u, USD.
        weight_bound: B.
        divergence_weight: D.
        gradient: float64 [12]; overwritten.
    """
    n = gamma.shape[0]
    lowest_weight = 1.0 / weight_bound
    loss, slopes, policy = 0.0, _NO_SLOPES, unpack_policy(parameters)
    for i in range(n):
        row = compute_policy(policy, estimated_ctr[i], item_value[i])
        sigma = row.raw_sigma + LEAST_SIGMA
        z = (gamma[i] - row.mu) / sigma
        weight, sloped = _compute_weight(z, sigma, propensity[i])
        gain, bounded = weight * utility[i], min(max(weight, lowest_weight), weight_bound) * utility[i]
        loss += 0.5 * divergence_weight * z * z - min(gain, bounded)
        pull = sloped * utility[i] / sigma if gain <= bounded else 0.0
        hold = divergence_weight * z / sigma
        by_mu, by_sigma = -pull * z - hold, pull * (1.0 - z * z) - hold * z
        slopes = compute_slopes(policy, row, estimated_ctr[i], item_value[i], by_mu, by_sigma, slopes)
    store_gradient(slopes, 1.0 / n, gradient)
    return loss / n


@njit(cache=True, inline="always", error_model="numpy", fastmath=FAST)
def _compute_sampled_worth(
    win_rate: Four, estimated_ctr: float, item_value: float, drawn: float
) -> tuple[float, float]:
    """Modelled utility of a draw clipped to [0, 1], and its derivative by the draw (0 where clipped)."""
    worth, slope = compute_worth(win_rate, estimated_ctr, item_value, min(max(drawn, 0.0), 1.0))
    return worth, slope if 0.0 <= drawn <= 1.0 else 0.0


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_modelled_loss(
    parameters: FloatArray,
    win_rate: FloatArray,
    estimated_ctr: FloatArray,
    item_value: FloatArray,
    noise: FloatArray,
    gradient: FloatArray,
) -> float:
    """Mean of -W(x, g) (V - g V) at g = clip(m + s e, 0, 1): the utility that a win-rate model W expects.

    Args:
        parameters: float64 [12], of the policy.
        win_rate: float64 [4], parameters of W.
        estimated_ctr: float64 [n].
        item_value: float64 [n], USD.
        noise: float64 [n], standard normal draws e.
        gradient: float64 [12]; overwritten.
    """
    n = noise.shape[0]
    loss, slopes, policy, model = 0.0, _NO_SLOPES, unpack_policy(parameters), unpack_win_rate(win_rate)
    for i in range(n):
        row = compute_policy(policy, estimated_ctr[i], item_value[i])
        drawn = row.mu + (row.raw_sigma + LEAST_SIGMA) * noise[i]
        worth, slope = _compute_sampled_worth(model, estimated_ctr[i], item_value[i], drawn)
        loss -= worth
        slopes = compute_slopes(policy, row, estimated_ctr[i], item_value[i], -slope, -slope * noise[i], slopes)
    store_gradient(slopes, 1.0 / n, gradient)
    return loss / n


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_doubly_robust_loss(
    parameters: FloatArray,
    win_rate: FloatArray,
    estimated_ctr: FloatArray,
    item_value: FloatArray,
    gamma: FloatArray,
    propensity: FloatArray,
    surprise: FloatArray,
    weight_bound: float,
    noise: FloatArray,
    gradient: FloatArray,
) -> float:
    """Mean of -(u - û) clip(w, 1 / B, B) - W(x, g) (V - g V): what the model expects, corrected by what happened.

    w and B are those of ``compute_weighted_loss``, W and g those of ``compute_modelled_loss``.

    Args:
        parameters: float64 [12], of the policy.
        win_rate: float64 [4], parameters of W.
        estimated_ctr: float64 [n].
        item_value: float64 [n], USD.
        gamma: float64 [n].
        propensity: float64 [n], pi0.
        surprise: float64 [n], realised minus modelled utility of the logged bid u - û, USD.
        weight_bound: B.
        noise: float64 [n], standard normal draws.
        gradient: float64 [12]; overwritten.
    """
    n = gamma.shape[0]
    lowest_weight = 1.0 / weight_bound
    loss, slopes, policy, model = 0.0, _NO_SLOPES, unpack_policy(parameters), unpack_win_rate(win_rate)
    for i in range(n):
        row = compute_policy(policy, estimated_ctr[i], item_value[i])
        sigma = row.raw_sigma + LEAST_SIGMA
        z = (gamma[i] - row.mu) / sigma
        weight, sloped = _compute_weight(z, sigma, propensity[i])
        bounded = min(max(weight, lowest_weight), weight_bound)
        pull = sloped * surprise[i] / sigma if weight == bounded else 0.0
        worth, slope = _compute_sampled_worth(model, estimated_ctr[i], item_value[i], row.mu + sigma * noise[i])
        loss -= surprise[i] * bounded + worth
        by_mu, by_sigma = -pull * z - slope, pull * (1.0 - z * z) - slope * noise[i]
        slopes = compute_slopes(policy, row, estimated_ctr[i], item_value[i], by_mu, by_sigma, slopes)
    store_gradient(slopes, 1.0 / n, gradient)
    return loss / n

"""A normal distribution of shading factors given click probability and item value.

Two hidden units, shared by mean and width: h = softplus(W x + b), mean = softplus(u h + c),
width = softplus(v h + d) + 0.01. The twelve parameters lie in one array: W by rows (0 to 3), b (4, 5),
u and c (6 to 8), v and d (9 to 11).

Source: AuctionGym (Apache-2.0), its bid shading policies.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.learning.elementary import FAST, compute_softplus
from envs.auction.learning.training import sample_layer

__all__ = [
    "LEAST_SIGMA",
    "NUM_PARAMETERS",
    "PolicyRow",
    "compute_density",
    "compute_policies",
    "compute_policy",
    "compute_slopes",
    "make_policy",
    "sample_gamma",
    "store_gradient",
    "unpack_policy",
]

NUM_PARAMETERS = 12
LEAST_SIGMA = 0.01
"""Added to every width, so that no policy is ever certain."""

FloatArray = NDArray[np.float64]
Twelve = tuple[float, float, float, float, float, float, float, float, float, float, float, float]


class PolicyRow(NamedTuple):
    """The policy at one row, with what its gradient needs.

    Attributes:
        mu: mean of the shading factor.
        raw_sigma: its standard deviation before LEAST_SIGMA is added.
        hidden_1: first hidden unit.
        hidden_2: second hidden unit.
        slope_1: derivative of the first hidden unit's softplus.
        slope_2: of the second's.
        mu_slope: of the mean's.
        sigma_slope: of the width's.
    """

    mu: float
    raw_sigma: float
    hidden_1: float
    hidden_2: float
    slope_1: float
    slope_2: float
    mu_slope: float
    sigma_slope: float


def make_policy(rng: np.random.Generator) -> FloatArray:
    """The parameters before training: float64 [12]."""
    return sample_layer(2, NUM_PARAMETERS, rng)


@njit(cache=True, inline="always")
def unpack_policy(p: FloatArray) -> Twelve:
    """The parameters in a tuple; loops that read an array of them instead do not become vector instructions."""
    return p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11]


@njit(cache=True, inline="always", error_model="numpy", fastmath=FAST)
def compute_policy(parameters: Twelve, estimated_ctr: float, item_value: float) -> PolicyRow:
    """The policy at one row, ``parameters`` in a tuple."""
    hidden_1, slope_1 = compute_softplus(parameters[0] * estimated_ctr + parameters[1] * item_value + parameters[4])
    hidden_2, slope_2 = compute_softplus(parameters[2] * estimated_ctr + parameters[3] * item_value + parameters[5])
    mu, mu_slope = compute_softplus(parameters[6] * hidden_1 + parameters[7] * hidden_2 + parameters[8])
    raw_sigma, sigma_slope = compute_softplus(parameters[9] * hidden_1 + parameters[10] * hidden_2 + parameters[11])
    return PolicyRow(mu, raw_sigma, hidden_1, hidden_2, slope_1, slope_2, mu_slope, sigma_slope)


@njit(cache=True, inline="always", error_model="numpy", fastmath=FAST)
def compute_slopes(
    parameters: Twelve,
    row: PolicyRow,
    estimated_ctr: float,
    item_value: float,
    by_mu: float,
    by_sigma: float,
    slopes: Twelve,
) -> Twelve:
    """Adds one row's gradient to ``slopes``, given the loss's derivatives by the row's mean and width."""
    to_mu, to_sigma = by_mu * row.mu_slope, by_sigma * row.sigma_slope
    to_1 = (to_mu * parameters[6] + to_sigma * parameters[9]) * row.slope_1
    to_2 = (to_mu * parameters[7] + to_sigma * parameters[10]) * row.slope_2
    return (
        slopes[0] + to_1 * estimated_ctr,
        slopes[1] + to_1 * item_value,
        slopes[2] + to_2 * estimated_ctr,
        slopes[3] + to_2 * item_value,
        slopes[4] + to_1,
        slopes[5] + to_2,
        slopes[6] + to_mu * row.hidden_1,
        slopes[7] + to_mu * row.hidden_2,
        slopes[8] + to_mu,
        slopes[9] + to_sigma * row.hidden_1,
        slopes[10] + to_sigma * row.hidden_2,
        slopes[11] + to_sigma,
    )


@njit(cache=True)
def store_gradient(slopes: Twelve, scale: float, gradient: FloatArray) -> None:
    """Overwrites ``gradient``, float64 [12], with ``scale`` times the summed slopes."""
    for i in range(NUM_PARAMETERS):
        gradient[i] = scale * slopes[i]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_policies(
    parameters: FloatArray, estimated_ctr: FloatArray, item_value: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and width of the shading factor for each offer, each float64 [n]."""
    mu, sigma = np.empty_like(item_value), np.empty_like(item_value)
    unpacked = unpack_policy(parameters)
    for i in range(item_value.shape[0]):
        row = compute_policy(unpacked, estimated_ctr[i], item_value[i])
        mu[i], sigma[i] = row.mu, row.raw_sigma + LEAST_SIGMA
    return mu, sigma


def compute_density(gamma: FloatArray, mu: FloatArray | float, sigma: FloatArray | float) -> FloatArray:
    """Density of the normal distribution at ``gamma``: float64 [n]."""
    z = (gamma - mu) / sigma
    return np.exp(-0.5 * z * z) / (sigma * math.sqrt(2.0 * math.pi))


def sample_gamma(
    parameters: FloatArray, item_value: FloatArray, estimated_ctr: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Shading factors by the policy, clipped to [0, 1].

    Args:
        parameters: float64 [12].
        item_value: float64 [n], USD.
        estimated_ctr: float64 [n].
        rng: gives n normal draws.

    Returns:
        Shading factors, and the densities of the draws before they were clipped, each float64 [n].
    """
    mu, sigma = compute_policies(parameters, estimated_ctr, item_value)
    drawn = mu + sigma * rng.standard_normal(mu.shape[0])
    return np.clip(drawn, 0.0, 1.0), compute_density(drawn, mu, sigma)

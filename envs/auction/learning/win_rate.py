"""The chance of winning an auction as a logistic function of click probability, item value and shading factor.

Source: AuctionGym (Apache-2.0), its win-rate estimator and how it is trained; Jeunen, Murphy, Allison,
"Off-Policy Learning-to-Bid with AuctionGym", KDD 2023, section 4.1.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords
from envs.auction.learning.adam import make_moments
from envs.auction.learning.elementary import FAST, compute_exponential, compute_logistic
from envs.auction.learning.noise import sample_key, sample_unit
from envs.auction.learning.training import TrainingRule, check_loss, sample_layer, start_training, step_training

__all__ = [
    "SEARCH_CANDIDATES",
    "Four",
    "WinRateModel",
    "compute_win_rate_loss",
    "compute_worth",
    "train_win_rate",
    "unpack_win_rate",
]

SEARCH_CANDIDATES = 128
"""Shading factors among which a search picks the best."""

_LOWEST_CANDIDATE, _CANDIDATE_RANGE = 0.1, 0.9
_ROWS_PER_LOGARITHM = 256  # a product of as many factors of up to 4 stays far below the highest float

FloatArray = NDArray[np.float64]
Four = tuple[float, float, float, float]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_win_rate_loss(
    parameters: FloatArray,
    estimated_ctr: FloatArray,
    item_value: FloatArray,
    gamma: FloatArray,
    won: FloatArray,
    gradient: FloatArray,
) -> float:
    """Mean cross-entropy of 2n observations: each record, and that a bid of 0 would have lost it.

    Args:
        parameters: float64 [4]; weights of click probability, item value and gamma, and a bias.
        estimated_ctr: float64 [n].
        item_value: float64 [n], USD.
        gamma: float64 [n].
        won: float64 [n], 1 or 0.
        gradient: float64 [4]; overwritten.
    """
    p0, p1, p2, p3 = unpack_win_rate(parameters)
    n = won.shape[0]
    g0, g1, g2, g3, loss = 0.0, 0.0, 0.0, 0.0, 0.0
    for start in range(0, n, _ROWS_PER_LOGARITHM):
        product = 1.0
        for i in range(start, min(start + _ROWS_PER_LOGARITHM, n)):
            at_zero = p0 * estimated_ctr[i] + p1 * item_value[i] + p3
            logit = at_zero + p2 * gamma[i]
            tail_zero, tail = compute_exponential(-abs(at_zero)), compute_exponential(-abs(logit))
            product *= (1.0 + tail_zero) * (1.0 + tail)
            loss += max(at_zero, 0.0) + max(logit, 0.0) - won[i] * logit
            miss_zero = (1.0 if at_zero >= 0.0 else tail_zero) / (1.0 + tail_zero)
            miss = (1.0 if logit >= 0.0 else tail) / (1.0 + tail) - won[i]
            both = miss_zero + miss
            g0 += both * estimated_ctr[i]
            g1 += both * item_value[i]
            g2 += miss * gamma[i]
            g3 += both
        loss += math.log(product)
    scale = 1.0 / (2.0 * n)
    gradient[0], gradient[1], gradient[2], gradient[3] = scale * g0, scale * g1, scale * g2, scale * g3
    return scale * loss


@njit(cache=True)
def train_win_rate(
    parameters: FloatArray,
    estimated_ctr: FloatArray,
    item_value: FloatArray,
    gamma: FloatArray,
    won: FloatArray,
    rule: TrainingRule,
) -> tuple[float, int]:
    """Fits ``parameters`` in place; the arrays are those of ``compute_win_rate_loss``.

    Returns:
        The last loss, and how many epochs it took.
    """
    gradient, moments, progress = np.empty(4), make_moments(4), start_training(rule)
    loss, epoch = math.inf, 0
    while not progress.ended:
        loss = compute_win_rate_loss(parameters, estimated_ctr, item_value, gamma, won, gradient)
        progress = step_training(parameters, gradient, moments, progress, epoch, loss, rule)
        epoch += 1
    return loss, epoch


@njit(cache=True, inline="always")
def unpack_win_rate(p: FloatArray) -> Four:
    """The parameters in a tuple; loops that read an array of them instead do not become vector instructions."""
    return p[0], p[1], p[2], p[3]


@njit(cache=True, inline="always", error_model="numpy", fastmath=FAST)
def compute_worth(parameters: Four, estimated_ctr: float, item_value: float, gamma: float) -> tuple[float, float]:
    """Expected utility of a shaded bid by the model, W V (1 - gamma), and its derivative by gamma; USD.

    W is the modelled chance of winning, V the expected worth of the impression.
    """
    win_rate = compute_logistic(
        parameters[0] * estimated_ctr + parameters[1] * item_value + parameters[2] * gamma + parameters[3]
    )
    impression_value = estimated_ctr * item_value
    kept = impression_value * (1.0 - gamma)
    return win_rate * kept, win_rate * ((1.0 - win_rate) * parameters[2] * kept - impression_value)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _compute_worths(
    parameters: FloatArray, estimated_ctr: FloatArray, item_value: FloatArray, gamma: FloatArray
) -> FloatArray:
    worths, model = np.empty_like(gamma), unpack_win_rate(parameters)
    for i in range(gamma.shape[0]):
        worths[i] = compute_worth(model, estimated_ctr[i], item_value[i], gamma[i])[0]
    return worths


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _search_gamma(
    parameters: FloatArray, estimated_ctr: FloatArray, item_value: FloatArray, key: np.uint64
) -> FloatArray:
    """The best of fresh candidates for each row: what is kept of the worth, times the chance of winning."""
    best_gamma = np.empty_like(item_value)
    p0, p1, p2, p3 = unpack_win_rate(parameters)
    candidates, shares = np.empty(SEARCH_CANDIDATES), np.empty(SEARCH_CANDIDATES)
    for i in range(item_value.shape[0]):
        at_zero = p0 * estimated_ctr[i] + p1 * item_value[i] + p3
        first = np.uint64(i) * np.uint64(SEARCH_CANDIDATES)
        for j in range(SEARCH_CANDIDATES):
            gamma = _LOWEST_CANDIDATE + _CANDIDATE_RANGE * sample_unit(key, first + np.uint64(j))
            candidates[j] = gamma
            shares[j] = (1.0 - gamma) * compute_logistic(at_zero + p2 * gamma)
        best = 0
        for j in range(1, SEARCH_CANDIDATES):
            if shares[j] > shares[best]:
                best = j
        best_gamma[i] = candidates[best]
    return best_gamma


class WinRateModel:
    """A win-rate model that one bidder trains and asks.

    Attributes:
        parameters: float64 [4]; weights of click probability, item value and gamma, and a bias.
    """

    def __init__(self, rule: TrainingRule, rng: np.random.Generator) -> None:
        self._rule = rule
        self.parameters = sample_layer(3, 4, rng)

    def fit(self, records: AgentRecords) -> None:
        """Goes on training with ``records``.

        Raises:
            DataError: the loss is not a finite number.
        """
        won = records.won.astype(np.float64)
        loss, _ = train_win_rate(
            self.parameters, records.estimated_ctr, records.item_value, records.gamma, won, self._rule
        )
        check_loss(loss, "win-rate model", len(records))

    def compute_worths(self, item_value: FloatArray, estimated_ctr: FloatArray, gamma: FloatArray) -> FloatArray:
        """Expected utility of bids that are shaded by ``gamma``: float64 [n], USD."""
        return _compute_worths(self.parameters, estimated_ctr, item_value, gamma)

    def search(self, item_value: FloatArray, estimated_ctr: FloatArray, rng: np.random.Generator) -> FloatArray:
        """The best of 128 uniform shading factors from 0.1 to 1 for each offer: float64 [n]."""
        return _search_gamma(self.parameters, estimated_ctr, item_value, sample_key(rng))

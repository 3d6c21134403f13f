"""An allocator that learns click probabilities by Bayesian logistic regression, one model for each item.

The posterior is a normal distribution with independent coordinates around the most probable weights; items
are picked by one draw from it (Thompson sampling), bids are made with the most probable weights.

Source: Chapelle and Li, "An Empirical Evaluation of Thompson Sampling", NeurIPS 2011, algorithm 3;
AuctionGym (Apache-2.0), PyTorchLogisticRegressionAllocator, for how it is trained.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords
from envs.auction.learning.adam import make_moments, step_adam
from envs.auction.learning.elementary import FAST, compute_exponential, compute_logistic
from envs.auction.learning.plateau import PlateauRule, start_plateau, step_plateau
from envs.auction.learning.training import check_loss

__all__ = ["LogisticAllocator", "compute_allocator_loss", "compute_precision_gain", "train_allocator"]

_EPOCHS, _LEAST_EPOCHS, _LOOK_BACK = 16384, 1024, 99
_LEARNING_RATE = 2e-3
_PLATEAU = PlateauRule(factor=0.5, patience=10)
_LEAST_WINS = 2
_LEAST_CHANGE = 1e-6
_ROWS_PER_LOGARITHM = 512  # a product of as many factors of up to 2 stays below the highest float

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _compute_residuals(logits: FloatArray, clicks: FloatArray, residuals: FloatArray) -> float:
    """Overwrites ``residuals`` with click probabilities minus clicks; returns the summed cross-entropy."""
    loss, n = 0.0, clicks.shape[0]
    for start in range(0, n, _ROWS_PER_LOGARITHM):
        product = 1.0
        for i in range(start, min(start + _ROWS_PER_LOGARITHM, n)):
            logit = logits[i]
            tail = compute_exponential(-abs(logit))
            product *= 1.0 + tail
            loss += max(logit, 0.0) - clicks[i] * logit
            residuals[i] = (1.0 if logit >= 0.0 else tail) / (1.0 + tail) - clicks[i]
        loss += math.log(product)
    return loss


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_allocator_loss(
    weights: FloatArray,
    prior: FloatArray,
    precision: FloatArray,
    features: FloatArray,
    clicks: FloatArray,
    firsts: IntArray,
    scratch: FloatArray,
    gradient: FloatArray,
) -> float:
    """Summed cross-entropy plus half the precision times (prior - weight)**2, intercepts excepted.

    Args:
        weights: float64 [items * c], by items, intercept last.
        prior: float64 [items * c], the weights after the last update.
        precision: float64 [items * c].
        features: float64 [c, n], contexts sorted by item.
        clicks: float64 [n], 1 or 0.
        firsts: int64 [items + 1]; rows firsts[i] to firsts[i + 1] showed item i.
        scratch: float64 [2, n]; overwritten.
        gradient: float64 [items * c]; overwritten.
    """
    c = features.shape[0]
    logits, residuals = scratch[0], scratch[1]
    logits[:] = 0.0
    for item in range(firsts.shape[0] - 1):
        for k in range(c):
            weight, column = weights[item * c + k], features[k]
            for i in range(firsts[item], firsts[item + 1]):
                logits[i] += weight * column[i]
    loss = _compute_residuals(logits, clicks, residuals)
    for item in range(firsts.shape[0] - 1):
        for k in range(c):
            slope, column = 0.0, features[k]
            for i in range(firsts[item], firsts[item + 1]):
                slope += residuals[i] * column[i]
            j = item * c + k
            if k < c - 1:
                shift = weights[j] - prior[j]
                loss += 0.5 * precision[j] * shift * shift
                slope += precision[j] * shift
            gradient[j] = slope
    return loss


@njit(cache=True)
def train_allocator(
    weights: FloatArray,
    prior: FloatArray,
    precision: FloatArray,
    features: FloatArray,
    clicks: FloatArray,
    firsts: IntArray,
    epochs: int,
) -> tuple[float, int]:
    """Fits ``weights`` in place; the arrays are those of ``compute_allocator_loss``.

    Training ends when single precision no longer tells the loss from what it was 99 epochs before, which
    the falling learning rate sees to.

    Returns:
        The last loss, and how many epochs it took.
    """
    gradient, moments, plateau = np.empty_like(weights), make_moments(weights.shape[0]), start_plateau(_LEARNING_RATE)
    scratch, losses = np.empty((2, clicks.shape[0])), np.empty(epochs, np.float32)
    loss = math.inf
    for epoch in range(epochs):
        loss = compute_allocator_loss(weights, prior, precision, features, clicks, firsts, scratch, gradient)
        if not math.isfinite(loss):
            return loss, epoch + 1
        step_adam(weights, gradient, moments, epoch + 1, plateau.learning_rate, 0.0, False)
        plateau = step_plateau(plateau, loss, _PLATEAU)
        losses[epoch] = loss
        if epoch > _LEAST_EPOCHS and abs(losses[epoch - _LOOK_BACK] - losses[epoch]) < _LEAST_CHANGE:
            return loss, epoch + 1
    return loss, epochs


@njit(cache=True, error_model="numpy", fastmath=FAST)
def compute_precision_gain(weights: FloatArray, contexts: FloatArray, items: IntArray, shift: float) -> FloatArray:
    """Sum of P (1 - P) x**2 over each item's impressions, P the logistic function of weights times x minus ``shift``.

    Args:
        weights: float64 [items, c].
        contexts: float64 [n, c].
        items: int64 [n].
        shift: 0 for the posterior's own, 1 for AuctionGym's.

    Returns:
        float64 [items, c].
    """
    gain = np.zeros_like(weights)
    for i in range(items.shape[0]):
        logit = -shift
        for k in range(contexts.shape[1]):
            logit += weights[items[i], k] * contexts[i, k]
        p = compute_logistic(logit)
        for k in range(contexts.shape[1]):
            gain[items[i], k] += p * (1.0 - p) * contexts[i, k] * contexts[i, k]
    return gain


class LogisticAllocator:
    """Learns each item's click probability from the impressions that it won.

    Args:
        num_items: items in the agent's catalogue.
        context_size: entries of a context, its constant 1 included.
        thompson_sampling: whether items are picked by a draw from the posterior.
        compat: True for AuctionGym's posterior, whose click probabilities are shifted by 1 in the logit.
        rng: of everything that it draws.

    Attributes:
        weights: float64 [items, c], the most probable, intercept last.
        precision: float64 [items, c], of the posterior.
    """

    def __init__(
        self, num_items: int, context_size: int, thompson_sampling: bool, compat: bool, rng: np.random.Generator
    ) -> None:
        self.weights = rng.standard_normal((num_items, context_size))
        self.precision = np.ones((num_items, context_size))
        self._thompson_sampling = thompson_sampling
        self._shift = 1.0 if compat else 0.0
        self._rng = rng

    def select(self, contexts: FloatArray, item_values: FloatArray) -> tuple[IntArray, FloatArray]:
        """Picks items by a posterior draw, or by the most probable weights; see ``Allocator``.

        The logit of a draw with independent weights is itself normal, so that one number is drawn for each
        context and item.
        """
        logits = contexts @ self.weights.T
        drawn = logits
        if self._thompson_sampling:
            spread = np.sqrt((contexts * contexts) @ (1.0 / self.precision).T)
            drawn = logits + spread * self._rng.standard_normal(logits.shape)
        items = np.argmax(_compute_logistics(drawn) * item_values, axis=1)
        return items, _compute_logistics(logits[np.arange(items.shape[0]), items])

    def update(self, records: AgentRecords) -> None:
        """Learns from won impressions; nothing from fewer than 2.

        Raises:
            DataError: the loss is not a finite number.
        """
        contexts, items, clicks = records.context[records.won], records.item[records.won], records.click[records.won]
        if items.shape[0] < _LEAST_WINS:
            return
        order = np.argsort(items, kind="stable")
        firsts = np.searchsorted(items[order], np.arange(self.weights.shape[0] + 1))
        weights = self.weights.ravel().copy()
        loss, _ = train_allocator(
            weights,
            self.weights.ravel(),
            self.precision.ravel(),
            np.ascontiguousarray(contexts[order].T),
            clicks[order],
            firsts,
            _EPOCHS,
        )
        check_loss(loss, "click model", items.shape[0])
        self.weights = weights.reshape(self.weights.shape)
        self.precision = self.precision + compute_precision_gain(self.weights, contexts, items, self._shift)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _fill_logistics(logits: FloatArray, out: FloatArray) -> None:
    for i in range(logits.shape[0]):
        out[i] = compute_logistic(logits[i])


def _compute_logistics(logits: FloatArray) -> FloatArray:
    """The logistic function of each entry."""
    out = np.empty_like(logits)
    _fill_logistics(logits.ravel(), out.ravel())
    return out

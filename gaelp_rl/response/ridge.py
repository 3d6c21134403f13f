"""Posterior moments where a few parameters trade off against the others along a curved ridge.

There the joint mode is not where the mass lies; the ridge parameters' own marginal is.

Source: Rue, Martino and Chopin 2009, "Approximate Bayesian inference for latent Gaussian models by
using integrated nested Laplace approximations".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.response.posterior import Posterior, Prior, Scores, find_mode

__all__ = ["integrate_over"]

_FIXED = 1e10
_GRID = np.linspace(-2.7, 2.7, 7)
_RECENTRINGS = 3


def integrate_over(
    compute_scores: Callable[[FloatArray], Scores],
    prior: Prior,
    posterior: Posterior,
    indices: Sequence[int],
    learn: bool = True,
) -> Posterior:
    """Mean and covariance over a grid of some parameters, the others' posterior normal given them.

    Args:
        compute_scores: as for ``find_mode``, with the log-likelihood.
        prior: added to it.
        posterior: at the joint mode; gives the grid's centre and axes.
        indices: of the parameters.
        learn: whether the data weigh the grid; if not, its weights are the prior's alone and only
            the other parameters follow the data (a cut model; Plummer 2015, "Cuts in Bayesian
            graphical models").
    """
    where = list(indices)
    centre = posterior
    for _ in range(_RECENTRINGS):
        found, offsets, logs = _evaluate_grid(compute_scores, prior, centre, where, learn)
        weight = np.exp(logs - logs.max())
        weight /= weight.sum()
        mixture = _mix(found, weight, centre, where)
        if np.abs(offsets[int(weight.argmax())]).max() < _GRID[-1]:
            break
        centre = Posterior(mixture.mean, posterior.covariance)
    return mixture


def _evaluate_grid(
    compute_scores: Callable[[FloatArray], Scores], prior: Prior, centre: Posterior, where: list[int], learn: bool
) -> tuple[list[Posterior], FloatArray, FloatArray]:
    """Conditional posteriors at the grid's points, the points in standard deviations, and log weights."""
    block = centre.covariance[np.ix_(where, where)]
    axes, regression = np.linalg.cholesky(block), np.linalg.solve(block, centre.covariance[where])
    offsets = np.array(list(product(_GRID, repeat=len(where))))
    found, logs = [], []
    for shift in offsets @ axes.T:
        fixed = Prior(prior.mean.copy(), prior.precision.copy())
        fixed.mean[where] = centre.mean[where] + shift
        fixed.precision[where, where] = _FIXED
        one = find_mode(compute_scores, fixed, centre.mean + shift @ regression, max_steps=3)
        deviation = one.mean - prior.mean
        own = deviation[where]
        log_weight = -0.5 * float(own @ prior.precision[np.ix_(where, where)] @ own)
        if learn:
            log_weight = compute_scores(one.mean).log_likelihood - 0.5 * float(deviation @ prior.precision @ deviation)
            log_weight += 0.5 * float(np.linalg.slogdet(one.covariance)[1])
        found.append(one)
        logs.append(log_weight)
    return found, offsets, np.array(logs)


def _mix(found: list[Posterior], weight: FloatArray, centre: Posterior, where: list[int]) -> Posterior:
    """Moments of the mixture, with the variance inside a cell of the grid."""
    means = np.array([one.mean for one in found])
    mean = weight @ means
    covariance = np.tensordot(weight, np.array([one.covariance for one in found]), axes=1)
    covariance += ((means - mean).T * weight) @ (means - mean)
    block = centre.covariance[np.ix_(where, where)]
    regression = np.linalg.solve(block, centre.covariance[where])
    spacing = _GRID[1] - _GRID[0]
    covariance += spacing**2 / 12.0 * (regression.T @ block @ regression)
    return Posterior(mean, covariance)

"""Posterior mode and covariance of a model with Gaussian priors, by Fisher scoring.

Every fit of this package is one call: observations with a mean and a variance that depend on the
parameters, and a Gaussian prior. Counts enter by their quasi-likelihood, so that overdispersion only
widens the variance. Intervals are those of the normal approximation at the mode.

Sources: quasi-likelihood and Fisher scoring, McCullagh and Nelder, "Generalized linear models", 2nd
ed., ch. 9; normal approximation at the posterior mode, Gelman et al., "Bayesian Data Analysis", 3rd
ed., ch. 4; random effects as parameters with a Gaussian prior, Breslow and Clayton 1993.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import linalg

from gaelp_rl.domain.reports import FloatArray

__all__ = [
    "Posterior",
    "Prior",
    "Scores",
    "compute_ar1_precision",
    "compute_transformed",
    "find_mode",
    "integrate_over",
    "make_circular_precision",
    "update_variance",
]

_MAX_STEP = 1.0
_TOLERANCE = 1e-7
_FIXED = 1e10
_GRID = np.linspace(-2.7, 2.7, 7)
_RECENTRINGS = 3


class Prior(NamedTuple):
    """A Gaussian prior.

    Attributes:
        mean: float64 [parameters].
        precision: float64 [parameters, parameters], positive definite.
    """

    mean: FloatArray
    precision: FloatArray


class Scores(NamedTuple):
    """The quasi-likelihood at one point.

    Attributes:
        gradient: float64 [parameters]; of the log-likelihood.
        information: float64 [parameters, parameters]; expected (Fisher) information.
        log_likelihood: of the observations as normal ones with the same means and variances.
    """

    gradient: FloatArray
    information: FloatArray
    log_likelihood: float = 0.0


class Posterior(NamedTuple):
    """Mode and covariance.

    Attributes:
        mean: float64 [parameters].
        covariance: float64 [parameters, parameters].
    """

    mean: FloatArray
    covariance: FloatArray


def find_mode(
    compute_scores: Callable[[FloatArray], Scores], prior: Prior, start: FloatArray, max_steps: int = 40
) -> Posterior:
    """Climbs to the posterior mode.

    Args:
        compute_scores: gradient and information of the data at a point.
        prior: added to both.
        start: float64 [parameters].
        max_steps: Fisher scoring steps at most; the covariance is that of the last point.

    Returns:
        Mode and inverse posterior information.
    """
    point = start.copy()
    for _ in range(max_steps):
        gradient, information, _ = compute_scores(point)
        factor = linalg.cho_factor(information + prior.precision)
        step = linalg.cho_solve(factor, gradient - prior.precision @ (point - prior.mean))
        largest = float(np.abs(step).max())
        point += step * min(1.0, _MAX_STEP / max(largest, _TOLERANCE))
        if largest < _TOLERANCE:
            break
    information = compute_scores(point).information
    covariance = linalg.cho_solve(linalg.cho_factor(information + prior.precision), np.eye(point.size))
    return Posterior(point, covariance)


def integrate_over(
    compute_scores: Callable[[FloatArray], Scores],
    prior: Prior,
    posterior: Posterior,
    indices: Sequence[int],
    learn: bool = True,
) -> Posterior:
    """Mean and covariance over a grid of some parameters, the others' posterior normal given them.

    Where parameters trade off against each other along a curved ridge, the joint mode is not where
    the mass lies; their own marginal is. Source: Rue, Martino and Chopin 2009, "Approximate Bayesian
    inference for latent Gaussian models by using integrated nested Laplace approximations".

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


def compute_ar1_precision(size: int, persistence: float) -> FloatArray:
    """Precision of a stationary AR(1) of unit variance, float64 [size, size], tridiagonal."""
    diagonal = np.full(size, 1.0 + persistence**2)
    diagonal[[0, -1]] = 1.0
    if size == 1:
        return np.ones((1, 1))
    off = np.full(size - 1, -persistence)
    return np.asarray((np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)) / (1.0 - persistence**2))


def make_circular_precision(size: int, sd: float, length: float) -> FloatArray:
    """Precision of a smooth curve on a circle: covariance sd^2 exp(-distance / length)."""
    index = np.arange(size)
    gap = np.abs(index[:, None] - index[None, :])
    covariance = sd**2 * np.exp(-np.minimum(gap, size - gap) / length)
    return np.asarray(np.linalg.inv(covariance))


def update_variance(
    effects: FloatArray, covariance: FloatArray, precision: FloatArray, guess: float, strength: float
) -> tuple[float, float]:
    """One EM step for the variance of random effects with a scaled inverse chi-square prior.

    Args:
        effects: float64 [n]; posterior mode.
        covariance: float64 [n, n]; posterior covariance.
        precision: float64 [n, n]; prior precision at unit variance.
        guess: prior guess of the standard deviation.
        strength: degrees of freedom behind the guess.

    Returns:
        The variance, and the degrees of freedom that data and prior have on it.
    """
    spread = float(np.sum(precision * covariance))
    total = float(effects @ precision @ effects) + spread
    variance = (total + strength * guess**2) / (effects.size + strength)
    return variance, max(effects.size - spread / variance, 0.0) + strength


def compute_transformed(posterior: Posterior, transform: Callable[[FloatArray], FloatArray]) -> Posterior:
    """Mode and covariance of a smooth function of the parameters (delta method).

    Args:
        posterior: of the parameters.
        transform: parameters -> float64 [k].
    """
    centre = transform(posterior.mean)
    jacobian = np.empty((centre.size, posterior.mean.size))
    for i in range(posterior.mean.size):
        moved = posterior.mean.copy()
        moved[i] += 1e-5
        jacobian[:, i] = (transform(moved) - centre) / 1e-5
    return Posterior(centre, jacobian @ posterior.covariance @ jacobian.T)

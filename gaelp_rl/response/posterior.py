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
from typing import NamedTuple

import numpy as np
from scipy import linalg

from gaelp_rl.domain.reports import FloatArray

__all__ = [
    "Posterior",
    "Prior",
    "Scores",
    "Term",
    "compute_ar1_precision",
    "compute_transformed",
    "find_mode",
    "find_quasi_mode",
    "make_circular_precision",
    "score_terms",
    "update_variance",
]

_MAX_STEP = 1.0
_TOLERANCE = 1e-7
_HALVINGS = 12


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


class Term(NamedTuple):
    """One kind of observation at one point of the parameters.

    Attributes:
        residual: float64 [n]; observed less expected.
        variance: float64 [n]; of the observations.
        slope: float64 [n, parameters]; of the expectation.
    """

    residual: FloatArray
    variance: FloatArray
    slope: FloatArray


def score_terms(terms: Sequence[Term], variances: Sequence[FloatArray] | None = None) -> Scores:
    """Gradient, information and log-likelihood of all terms.

    Args:
        terms: at one point.
        variances: to use for the terms' own, where points are to be compared on one scale.
    """
    size = terms[0].slope.shape[1]
    gradient, information, log_likelihood = np.zeros(size), np.zeros((size, size)), 0.0
    for term, variance in zip(terms, variances or [term.variance for term in terms], strict=True):
        weighted = term.slope / variance[:, None]
        gradient += weighted.T @ term.residual
        information += weighted.T @ term.slope
        log_likelihood -= 0.5 * float((term.residual**2 / variance).sum())
    return Scores(gradient, information, log_likelihood)


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


def find_quasi_mode(
    compute_terms: Callable[[FloatArray], Sequence[Term]], prior: Prior, start: FloatArray, max_steps: int = 40
) -> Posterior:
    """Climbs to the mode of a quasi-likelihood whose variances depend on the parameters.

    Each step is halved until it gains on the variances of where it began, so that no step leads to
    where a large variance excuses everything.

    Args:
        compute_terms: all observations at a point.
        prior: as for ``find_mode``.
        start: float64 [parameters].
        max_steps: at most.

    Returns:
        Mode and inverse posterior information.
    """
    point, terms = start.copy(), compute_terms(start)
    for _ in range(max_steps):
        variances = [term.variance for term in terms]
        here = score_terms(terms)
        factor = linalg.cho_factor(here.information + prior.precision)
        step = linalg.cho_solve(factor, here.gradient - prior.precision @ (point - prior.mean))
        step *= min(1.0, _MAX_STEP / max(float(np.abs(step).max()), _TOLERANCE))
        value = here.log_likelihood + _compute_log_prior(prior, point)
        for _ in range(_HALVINGS):
            moved = compute_terms(point + step)
            gained = score_terms(moved, variances).log_likelihood + _compute_log_prior(prior, point + step) - value
            if gained >= -_TOLERANCE:
                break
            step *= 0.5
        point, terms = point + step, moved
        if float(np.abs(step).max()) < _TOLERANCE:
            break
    information = score_terms(terms).information
    covariance = linalg.cho_solve(linalg.cho_factor(information + prior.precision), np.eye(point.size))
    return Posterior(point, covariance)


def _compute_log_prior(prior: Prior, point: FloatArray) -> float:
    deviation = point - prior.mean
    return -0.5 * float(deviation @ prior.precision @ deviation)


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

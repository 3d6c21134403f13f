"""Draws before anything is learned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from envs.auction.learning.exploration import Exploration
from gaelp_rl.errors import ConfigError


def test_exploration__draws_a_normal_that_is_not_clipped() -> None:
    gamma, propensity = Exploration(0.2, 1.0).sample(50_000, np.random.default_rng(0))
    assert stats.kstest(gamma, "norm", args=(1.0, 0.2)).pvalue > 0.01
    assert (gamma > 1.0).mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(propensity, stats.norm.pdf(gamma, 1.0, 0.2), rtol=1e-10)


def test_exploration__without_spread_always_gives_its_mean() -> None:
    gamma, propensity = Exploration(0.0, 0.9).sample(5, np.random.default_rng(0))
    assert (gamma == 0.9).all()
    assert (propensity == 1.0).all()


@pytest.mark.parametrize(("sigma", "mean", "name"), [(-0.1, 1.0, "gamma_sigma"), (0.1, np.inf, "init_gamma")])
def test_exploration__refuses_what_is_no_distribution(sigma: float, mean: float, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Exploration(sigma, mean)


def test_check_density__refuses_certainty_where_it_is_weighed() -> None:
    Exploration(0.02, 1.0).check_density("a learner")
    with pytest.raises(ConfigError, match=r"gamma_sigma is 0 for a learner.*above 0"):
        Exploration(0.0, 1.0).check_density("a learner")

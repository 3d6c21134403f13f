"""How a bidder shades before it has learned anything: by a normal draw, not clipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.auction.learning.gaussian_policy import compute_density
from gaelp_rl.errors import ConfigError

__all__ = ["Exploration"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Exploration:
    """Normal draws of shading factors; one above 1 bids more than the impression is worth.

    Attributes:
        gamma_sigma: standard deviation; 0 always gives the mean.
        init_gamma: mean.

    Raises:
        ConfigError: gamma_sigma is negative or one of the two is not finite.
    """

    gamma_sigma: float
    init_gamma: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.gamma_sigma) and self.gamma_sigma >= 0.0):
            msg = f"gamma_sigma is {self.gamma_sigma}; it must be a finite number, 0 or above"
            raise ConfigError(msg)
        if not np.isfinite(self.init_gamma):
            msg = f"init_gamma is {self.init_gamma}; it must be a finite number"
            raise ConfigError(msg)

    def check_density(self, learner: str) -> None:
        """Refuses draws without a density where a bidder learns from it.

        Raises:
            ConfigError: gamma_sigma is 0.
        """
        if self.gamma_sigma == 0.0:
            msg = (
                f"gamma_sigma is 0 for {learner}, which weighs what it saw by how likely it was; "
                "it must be above 0 (AuctionGym's configurations use 0.02)"
            )
            raise ConfigError(msg)

    def sample(self, count: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Shading factors and their densities (1 where gamma_sigma is 0), each float64 [count]."""
        gamma = self.init_gamma + self.gamma_sigma * rng.standard_normal(count)
        if self.gamma_sigma == 0.0:
            return gamma, np.ones(count)
        return gamma, compute_density(gamma, self.init_gamma, self.gamma_sigma)

"""A bidder that learns a shading policy from logged utilities alone, by importance weights.

Source: Jeunen, Murphy, Allison, "Off-Policy Learning-to-Bid with AuctionGym", KDD 2023, section 4.2;
AuctionGym (Apache-2.0), PolicyLearningBidder.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords, BidDraw
from envs.auction.learning.exploration import Exploration
from envs.auction.learning.imitated_policy import ImitatedPolicy
from envs.auction.learning.policy_training import WEIGHTED_RULE, train_weighted
from envs.auction.learning.training import check_loss
from gaelp_rl.errors import ConfigError, suggest

__all__ = ["LEAST_PROPENSITY", "WEIGHT_BOUND", "PolicyLearningBidder", "PolicyLoss"]

PolicyLoss = Literal["REINFORCE", "REINFORCE_offpolicy", "TRPO", "PPO"]

WEIGHT_BOUND = 50.0
"""Importance weights above it, or below its inverse, are clipped where a loss clips."""

LEAST_PROPENSITY = 1e-15
"""Logged densities below it count as much."""

FloatArray = NDArray[np.float64]


class _LossTerms(NamedTuple):
    """What tells the four losses apart."""

    weighted: bool
    weight_bound: float
    divergence_weight: float


_LOSSES: dict[str, _LossTerms] = {
    "REINFORCE": _LossTerms(weighted=False, weight_bound=math.inf, divergence_weight=0.0),
    "REINFORCE_offpolicy": _LossTerms(weighted=True, weight_bound=math.inf, divergence_weight=0.0),
    "TRPO": _LossTerms(weighted=True, weight_bound=math.inf, divergence_weight=0.05),
    "PPO": _LossTerms(weighted=True, weight_bound=WEIGHT_BOUND, divergence_weight=0.0),
}


class PolicyLearningBidder:
    """Explores, learns to imitate that, then moves its policy to where logged utilities were high.

    Args:
        gamma_sigma: standard deviation of the shading factor while exploring.
        init_gamma: its mean while exploring.
        loss: ``REINFORCE``, ``REINFORCE_offpolicy``, ``TRPO`` or ``PPO``.
        rng: of everything that it draws.

    Raises:
        ConfigError: an argument is out of range or the loss does not exist.
    """

    def __init__(self, gamma_sigma: float, init_gamma: float, loss: PolicyLoss, rng: np.random.Generator) -> None:
        if loss not in _LOSSES:
            msg = f"loss {loss!r} does not exist.{suggest(loss, _LOSSES)}"
            raise ConfigError(msg)
        self._terms = _LOSSES[loss]
        exploration = Exploration(gamma_sigma, init_gamma)
        if self._terms.weighted:
            exploration.check_density(f"PolicyLearningBidder with loss {loss!r}")
        self._policy = ImitatedPolicy(exploration, rng)

    def draw(self, item_values: FloatArray, estimated_ctr: FloatArray) -> BidDraw:
        """Bids for a batch of offers; see ``Bidder``. Propensities are those of draws before clipping."""
        return self._policy.draw(item_values, estimated_ctr)

    def update(self, records: AgentRecords) -> None:
        """Goes on training the policy; the first time after it has learned to imitate. Nothing without records.

        Raises:
            DataError: a loss is not a finite number.
        """
        if len(records) == 0:
            return
        self._policy.imitate_once(records, "policy-learning bidder")
        propensity = np.maximum(records.propensity, LEAST_PROPENSITY)
        loss, _ = train_weighted(
            self._policy.parameters,
            records.estimated_ctr,
            records.item_value,
            records.gamma,
            propensity if self._terms.weighted else np.ones_like(propensity),
            records.compute_utility(),
            self._terms.weight_bound,
            self._terms.divergence_weight,
            WEIGHTED_RULE,
        )
        check_loss(loss, "policy-learning bidder's policy", len(records))

"""A bidder that learns a shading policy from a win-rate model, corrected by logged utilities.

Source: Jeunen, Murphy, Allison, "Off-Policy Learning-to-Bid with AuctionGym", KDD 2023, section 4.3;
AuctionGym (Apache-2.0), DoublyRobustBidder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords, BidDraw
from envs.auction.learning.exploration import Exploration
from envs.auction.learning.imitated_policy import ImitatedPolicy
from envs.auction.learning.noise import sample_key
from envs.auction.learning.plateau import PlateauRule
from envs.auction.learning.policy_learning import LEAST_PROPENSITY, WEIGHT_BOUND
from envs.auction.learning.policy_training import DOUBLY_ROBUST_RULE, train_doubly_robust
from envs.auction.learning.training import TrainingRule, check_loss
from envs.auction.learning.win_rate import WinRateModel

__all__ = ["DoublyRobustBidder"]

_WIN_RATE_RULE = TrainingRule(
    epochs=32768,
    patience=1024,
    learning_rate=3e-3,
    weight_decay=1e-6,
    plateau=PlateauRule(factor=0.2, patience=256, least_rate=1e-7),
)

FloatArray = NDArray[np.float64]


class DoublyRobustBidder:
    """Explores, learns what wins, imitates, then trains its policy on the model and the log at once.

    Args:
        gamma_sigma: standard deviation of the shading factor while exploring.
        init_gamma: its mean while exploring.
        rng: of everything that it draws.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(self, gamma_sigma: float, init_gamma: float, rng: np.random.Generator) -> None:
        exploration = Exploration(gamma_sigma, init_gamma)
        exploration.check_density("DoublyRobustBidder")
        self._rng = rng
        self._win_rate = WinRateModel(_WIN_RATE_RULE, rng)
        self._policy = ImitatedPolicy(exploration, rng)

    def draw(self, item_values: FloatArray, estimated_ctr: FloatArray) -> BidDraw:
        """Bids for a batch of offers; see ``Bidder``. Propensities are those of draws before clipping."""
        return self._policy.draw(item_values, estimated_ctr)

    def update(self, records: AgentRecords) -> None:
        """Goes on training model and policy; the first time after it has learned to imitate. Nothing without records.

        Raises:
            DataError: a loss is not a finite number.
        """
        if len(records) == 0:
            return
        self._win_rate.fit(records)
        ctr, item_value, gamma = records.estimated_ctr, records.item_value, records.gamma
        self._policy.imitate_once(records, "doubly robust bidder")
        surprise = records.compute_utility() - self._win_rate.compute_worths(item_value, ctr, gamma)
        loss, _ = train_doubly_robust(
            self._policy.parameters,
            self._win_rate.parameters,
            ctr,
            item_value,
            gamma,
            np.maximum(records.propensity, LEAST_PROPENSITY),
            surprise,
            WEIGHT_BOUND,
            sample_key(self._rng),
            DOUBLY_ROBUST_RULE,
        )
        check_loss(loss, "doubly robust bidder's policy", len(records))

"""A shading policy that starts by imitating how its bidder explored.

Source: AuctionGym (Apache-2.0), PolicyLearningBidder and DoublyRobustBidder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords, BidDraw
from envs.auction.learning.exploration import Exploration
from envs.auction.learning.gaussian_policy import make_policy, sample_gamma
from envs.auction.learning.policy_training import IMITATION_RULE, train_imitation
from envs.auction.learning.training import check_loss

__all__ = ["ImitatedPolicy"]

FloatArray = NDArray[np.float64]


class ImitatedPolicy:
    """Explores until it has imitated once; from then on its parameters decide.

    Attributes:
        parameters: float64 [NUM_PARAMETERS]; trained in place.

    Args:
        exploration: how it shades before.
        rng: of its parameters and of every draw.
    """

    def __init__(self, exploration: Exploration, rng: np.random.Generator) -> None:
        self.parameters = make_policy(rng)
        self._exploration = exploration
        self._rng = rng
        self._has_imitated = False

    def draw(self, item_values: FloatArray, estimated_ctr: FloatArray) -> BidDraw:
        """Bids for a batch of offers; see ``Bidder``. Propensities are those of draws before clipping."""
        if self._has_imitated:
            gamma, propensity = sample_gamma(self.parameters, item_values, estimated_ctr, self._rng)
        else:
            gamma, propensity = self._exploration.sample(item_values.shape[0], self._rng)
        return BidDraw(gamma * item_values * estimated_ctr, gamma, propensity)

    def imitate_once(self, records: AgentRecords, learner: str) -> None:
        """Learns the shading factors of a log, the first time that it is asked.

        Args:
            records: the log, not empty.
            learner: whose policy it is, for the error.

        Raises:
            DataError: the loss is not a finite number.
        """
        if self._has_imitated:
            return
        loss, _ = train_imitation(
            self.parameters, records.estimated_ctr, records.item_value, records.gamma, IMITATION_RULE
        )
        check_loss(loss, f"{learner}'s imitation", len(records))
        self._has_imitated = True

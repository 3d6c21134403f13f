"""A bidder that learns what wins, and shades to where the modelled utility is highest (the direct method).

Source: Jeunen, Murphy, Allison, "Off-Policy Learning-to-Bid with AuctionGym", KDD 2023, section 4.1;
AuctionGym (Apache-2.0), ValueLearningBidder.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from envs.auction.agents import AgentRecords, BidDraw
from envs.auction.learning.exploration import Exploration
from envs.auction.learning.gaussian_policy import make_policy, sample_gamma
from envs.auction.learning.noise import sample_key
from envs.auction.learning.plateau import PlateauRule
from envs.auction.learning.policy_training import MODELLED_RULE, train_modelled
from envs.auction.learning.training import TrainingRule, check_loss
from envs.auction.learning.win_rate import WinRateModel
from gaelp_rl.errors import ConfigError, suggest

__all__ = ["Inference", "ValueLearningBidder"]

Inference = Literal["search", "policy"]

_WIN_RATE_RULE = TrainingRule(
    epochs=32768,
    patience=512,
    learning_rate=3e-3,
    weight_decay=1e-6,
    plateau=PlateauRule(factor=0.1, patience=100, least_rate=1e-7),
)

FloatArray = NDArray[np.float64]


class ValueLearningBidder:
    """Explores, then bids for the highest utility that its win-rate model expects.

    Args:
        gamma_sigma: standard deviation of the shading factor while exploring.
        init_gamma: its mean while exploring.
        inference: ``search`` takes the best of 128 random shading factors for every bid; ``policy`` draws
            from a policy that is trained on the model.
        rng: of everything that it draws.

    Raises:
        ConfigError: an argument is out of range or the inference does not exist.
    """

    def __init__(self, gamma_sigma: float, init_gamma: float, inference: Inference, rng: np.random.Generator) -> None:
        if inference not in get_args(Inference):
            msg = f"inference {inference!r} does not exist.{suggest(inference, get_args(Inference))}"
            raise ConfigError(msg)
        self._exploration = Exploration(gamma_sigma, init_gamma)
        self._rng = rng
        self._win_rate = WinRateModel(_WIN_RATE_RULE, rng)
        self._policy = make_policy(rng) if inference == "policy" else None
        self._learned = False

    def draw(self, item_values: FloatArray, estimated_ctr: FloatArray) -> BidDraw:
        """Bids for a batch of offers; see ``Bidder``. A searched shading factor has propensity 1."""
        gamma, propensity = self._sample_gamma(item_values, estimated_ctr)
        return BidDraw(gamma * item_values * estimated_ctr, gamma, propensity)

    def update(self, records: AgentRecords) -> None:
        """Learns what won; without a single win it goes back to exploring and keeps its models.

        Raises:
            DataError: a loss is not a finite number.
        """
        self._learned = bool(records.won.any())
        if not self._learned:
            return
        self._win_rate.fit(records)
        if self._policy is not None:
            loss, _ = train_modelled(
                self._policy,
                self._win_rate.parameters,
                records.estimated_ctr,
                records.item_value,
                sample_key(self._rng),
                MODELLED_RULE,
            )
            check_loss(loss, "value-learning bidder's policy", len(records))

    def _sample_gamma(self, item_values: FloatArray, estimated_ctr: FloatArray) -> tuple[FloatArray, FloatArray]:
        if not self._learned:
            return self._exploration.sample(item_values.shape[0], self._rng)
        if self._policy is not None:
            return sample_gamma(self._policy, item_values, estimated_ctr, self._rng)
        return self._win_rate.search(item_values, estimated_ctr, self._rng), np.ones_like(item_values)

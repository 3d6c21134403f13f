"""A policy that explores, imitates once, and then decides."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from envs.auction.agents import AgentRecords, BidDraw
from envs.auction.learning.exploration import Exploration
from envs.auction.learning.imitated_policy import ImitatedPolicy
from tests.envs.auction.learning.landscape import play


@dataclass
class Explorer:
    """A bidder that only draws from its policy."""

    policy: ImitatedPolicy = field(
        default_factory=lambda: ImitatedPolicy(Exploration(0.05, 0.7), np.random.default_rng(3))
    )

    def draw(self, item_values: np.ndarray, estimated_ctr: np.ndarray) -> BidDraw:
        return self.policy.draw(item_values, estimated_ctr)

    def update(self, records: AgentRecords) -> None:
        self.policy.imitate_once(records, "explorer")


def test_imitated_policy__explores_as_told_before_it_has_imitated() -> None:
    """Normal(0.7, 0.05) with its own density, and bids that are that share of the expected worth."""
    value, ctr = np.full(4_000, 2.0), np.full(4_000, 0.25)
    drawn = Explorer().draw(value, ctr)
    assert drawn.gamma.mean() == pytest.approx(0.7, abs=4 * 0.05 / np.sqrt(4_000))
    assert drawn.gamma.std() == pytest.approx(0.05, rel=0.05)
    assert drawn.bid == pytest.approx(0.5 * drawn.gamma)
    assert drawn.propensity.max() <= 1.0 / (0.05 * np.sqrt(2.0 * np.pi)) + 1e-12


def test_imitated_policy__shades_like_its_exploration_once_it_has_imitated() -> None:
    """The mean is learned; imitation aims at a width of 0.05 above the least of 0.01."""
    explorer = Explorer()
    explorer.update(play(explorer, 1_000, np.random.default_rng(4)))
    gamma = play(explorer, 4_000, np.random.default_rng(5)).gamma
    assert gamma.mean() == pytest.approx(0.7, abs=0.02)
    assert gamma.std() == pytest.approx(0.06, rel=0.25)
    assert gamma.min() >= 0.0
    assert gamma.max() <= 1.0


def test_imitated_policy__imitates_only_once() -> None:
    """What is trained afterwards must not be overwritten by the next log."""
    explorer = Explorer()
    records = play(explorer, 300, np.random.default_rng(6))
    explorer.update(records)
    learned = explorer.policy.parameters.copy()
    explorer.update(play(explorer, 300, np.random.default_rng(7)))
    assert np.array_equal(explorer.policy.parameters, learned)

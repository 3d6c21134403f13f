"""A first-price auction against one competitor whose bid is a uniform share of what the impression is worth to us.

A bid shaded by gamma wins with probability gamma and then keeps 1 - gamma: the best gamma is 1/2.
"""

from __future__ import annotations

import numpy as np

from envs.auction.agents import AgentRecords, Bidder

BEST_GAMMA = 0.5


def play(bidder: Bidder, rounds: int, rng: np.random.Generator) -> AgentRecords:
    """What ``bidder`` has seen after ``rounds`` auctions."""
    ctr = 1.0 / (1.0 + np.exp(-rng.normal(0.0, 1.5, rounds)))
    item_value = rng.lognormal(0.1, 0.2, 12)[rng.integers(12, size=rounds)]
    bid, gamma, propensity = bidder.draw(item_value, ctr)
    competing = ctr * item_value * rng.random(rounds)
    won = bid > competing
    click = (won & (rng.random(rounds) < ctr)).astype(np.float64)
    return AgentRecords(
        context=np.ones((rounds, 1)),
        item=np.zeros(rounds, dtype=np.int64),
        item_value=item_value,
        estimated_ctr=ctr,
        true_ctr=ctr,
        best_expected_value=ctr * item_value,
        bid=bid,
        gamma=gamma,
        propensity=propensity,
        price=np.maximum(bid, competing),
        second_price=np.where(won, competing, 0.0),
        click=click,
        won=won,
    )


def compute_expected_utility(bidder: Bidder, rng: np.random.Generator) -> float:
    """What an auction brings in expectation, as a share of what the impression is worth: gamma (1 - gamma)."""
    gamma = play(bidder, 4000, rng).gamma
    return float(np.mean(gamma * (1.0 - gamma)))

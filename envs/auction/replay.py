"""Auctions whose chance is given: what agents offer, who wins, and what it costs follow from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.auction.catalogue import Catalogue
from envs.auction.fused import make_desk, offer_best_items
from envs.auction.rounds import Rounds, Terms
from envs.auction.settlement import Offers, Outcomes, settle_rounds

__all__ = ["replay_rounds"]


def replay_rounds(
    terms: Terms, catalogue: Catalogue, rounds: Rounds, gamma: NDArray[np.float64]
) -> tuple[Offers, Outcomes]:
    """Plays given auctions among agents that know their items' click probabilities.

    Args:
        terms: the rules.
        catalogue: its first world is played.
        rounds: contexts, slots and participants; a slot is clicked if its noise is below the click probability,
            so that 0 always clicks and 1 never. ``gamma_noise`` is not used.
        gamma: float64 [auctions * k]; shading factor of every bid, 1 for a truthful one.

    Returns:
        Offers and outcomes of every participation.
    """
    count = rounds.num_slots.shape[0]
    desk = make_desk(terms, count)._replace(rounds=rounds)
    offer_best_items(count, terms, 0, catalogue, desk)
    desk.offers.gamma[:] = gamma
    desk.offers.bid[:] = desk.offers.item_value * desk.offers.estimated_ctr * gamma
    settle_rounds(count, terms, rounds.num_slots, rounds.click_noise, desk.offers, desk.outcomes)
    return desk.offers, desk.outcomes

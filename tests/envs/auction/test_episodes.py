"""What an episode draws: AuctionGym's own law for auctions that the agent joins."""

from __future__ import annotations

import numpy as np
import pytest

from envs.auction.catalogue import make_catalogue
from envs.auction.config import AuctionConfig, parse_auctiongym_config
from envs.auction.engine import AuctionEngine
from envs.auction.env import make_default_auction_config
from envs.auction.episodes import _make_offers, find_agent, sample_episode
from envs.auction.settlement import Total
from gaelp_rl.errors import ConfigError


def make_config(bidder: dict[str, object], allocator: dict[str, object] | None = None, k: int = 3) -> AuctionConfig:
    settings = make_default_auction_config().model_dump(mode="json")
    oracle = {"type": "OracleAllocator", "kwargs": {}}
    own = {"name": "Own", "num_items": 4, "allocator": allocator or oracle, "bidder": {"type": "TruthfulBidder"}}
    others = {"name": "Other", "num_copies": 3, "num_items": 5, "allocator": oracle, "bidder": bidder}
    return parse_auctiongym_config(settings | {"num_participants_per_round": k, "agents": [own, others]})


def test_sample_episode__offers_the_best_item_of_the_catalogue() -> None:
    """Recomputed one auction at a time from the catalogue and the contexts of an unhidden world."""
    config = make_default_auction_config().model_copy(update={"obs_embedding_size": 5})
    episode = sample_episode(config, 2, 7, 40, np.random.default_rng(1))
    catalogue = make_catalogue(config, 7)
    for r in range(40):
        best = (0.0, 0.0, 0.0)
        for item in range(24, 36):
            weights, item_value = catalogue.weights[0, item], catalogue.item_values[0, item]
            ctr = 1.0 / (1.0 + np.exp(-(sum(episode.observed_context[r] * weights[:5]) + weights[5])))
            best = max(best, (ctr * item_value, ctr, item_value))
        assert episode.true_ctr[r] == pytest.approx(best[1])
        assert episode.item_value[r] == best[2]
    assert np.array_equal(episode.estimated_ctr, episode.true_ctr)


def test_sample_episode__has_the_engines_law() -> None:
    """A truthful agent's mean expected worth, and the rivals' mean bid, are those of the engine's own auctions."""
    config = make_default_auction_config().model_copy(update={"rounds_per_iter": 40_000})
    totals = AuctionEngine(config, (3,), compat=True).simulate_iteration()[0]
    episode = sample_episode(config, 0, 3, 20_000, np.random.default_rng(2))
    records, bids = totals[:, Total.RECORDS], totals[:, Total.BID]
    assert (episode.item_value * episode.true_ctr).mean() == pytest.approx(bids[0] / records[0], rel=0.02)
    assert episode.bids.sum(axis=1).mean() == pytest.approx((bids[1:] / records[1:]).mean(), rel=0.02)


def test_sample_episode__gives_every_rival_and_place_its_share() -> None:
    """With 3 bidders of 4, places are even and each rival bids in 2 of 3 auctions."""
    config = make_config({"type": "TruthfulBidder"})
    episode = sample_episode(config, 0, 0, 6000, np.random.default_rng(3))
    assert np.bincount(episode.place) / 6000 == pytest.approx([1 / 3] * 3, abs=0.02)
    own = np.take_along_axis(episode.bids, episode.place[:, None], axis=1)
    assert not own.any()
    assert ((episode.bids > 0).sum(axis=1) == 2).all()


@pytest.mark.parametrize("agent", [0, 2])
def test_sample_episode__never_has_the_agent_bid_against_itself(agent: int) -> None:
    """Everybody else bids nothing, so that any bid would be the agent's own."""
    silent = {"type": "EmpiricalShadedBidder", "kwargs": {"gamma_sigma": 0.0, "init_gamma": 0.0}}
    settings = make_config(silent).model_dump(mode="json")
    entries = [{**settings["agents"][1], "name": f"Agent {i}", "num_copies": None} for i in range(4)]
    entries[agent]["bidder"] = {"type": "TruthfulBidder", "kwargs": {}}
    config = parse_auctiongym_config(settings | {"agents": [_drop_none(entry) for entry in entries]})
    assert not sample_episode(config, agent, 0, 500, np.random.default_rng(7)).bids.any()
    assert sample_episode(config, 1, 0, 500, np.random.default_rng(7)).bids.any()


def _drop_none(entry: dict[str, object]) -> dict[str, object]:
    return {key: setting for key, setting in entry.items() if setting is not None}


def test_sample_episode__shades_as_bidders_start() -> None:
    """Empirical shading never exceeds 1; value learning explores around its start, unclipped."""
    worth = sample_episode(make_config({"type": "TruthfulBidder"}), 0, 0, 4000, np.random.default_rng(4)).bids
    clipped, free = (
        sample_episode(
            make_config({"type": kind, "kwargs": {"gamma_sigma": 0.1, "init_gamma": 1.0}}),
            0,
            0,
            4000,
            np.random.default_rng(4),
        ).bids
        for kind in ("EmpiricalShadedBidder", "ValueLearningBidder")
    )
    assert clipped.sum() < worth.sum()
    assert (clipped <= worth.max()).all()
    assert free.mean() == pytest.approx(worth.mean(), rel=0.05)
    assert free.max() > worth.max()


def test_make_offers__of_learned_allocators_depend_on_what_is_observed() -> None:
    """Another hidden part of the context changes the true odds and nothing that the agent is told."""
    logistic = {"type": "PyTorchLogisticRegressionAllocator", "kwargs": {"embedding_size": 4, "num_items": 4}}
    config = make_config({"type": "TruthfulBidder"}, logistic)
    catalogue, agent = make_catalogue(config, 0), config.expand_agents()[0]
    context = np.random.default_rng(5).normal(size=(50, 5))
    other = context + np.array([0.0, 0.0, 0.0, 0.0, 2.0])
    first, second = (
        _make_offers(agent, catalogue, 0, seen, seen[:, :4], np.random.default_rng(6)) for seen in (context, other)
    )
    assert np.array_equal(first.estimated_ctr, second.estimated_ctr)
    assert np.array_equal(first.item_value, second.item_value)
    assert not np.isclose(first.true_ctr, second.true_ctr).any()


def test_find_agent__suggests() -> None:
    config = make_default_auction_config()
    assert find_agent(config, None) == 0
    assert find_agent(config, "Bidder 4") == 3
    with pytest.raises(ConfigError, match=r"'Biddr 4'\. Did you mean 'Bidder 4'"):
        find_agent(config, "Biddr 4")

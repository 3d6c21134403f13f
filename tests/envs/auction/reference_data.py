"""Recorded data of AuctionGym that several tests read."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

from envs.auction.config import AuctionConfig, load_auctiongym_config, parse_auctiongym_config

DATA = Path(__file__).resolve().parents[2] / "data" / "auctiongym"
CONFIGS = sorted((DATA / "configs").glob("*.json"))
TRACES = sorted(path.name.partition("__")[0] for path in (DATA / "traces").glob("*__rounds.csv.gz"))
CATALOGUES = sorted(path.name.partition(".")[0] for path in (DATA / "catalogues").glob("*.csv.gz"))


def load_reference_config(name: str) -> AuctionConfig:
    return load_auctiongym_config(DATA / "configs" / f"{name}.json")


def read_table(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make_config(**changes: object) -> AuctionConfig:
    """A small experiment of truthful oracles; ``agents`` may be given as JSON entries."""
    settings: dict[str, object] = {
        "random_seed": 0,
        "num_iter": 1,
        "rounds_per_iter": 500,
        "num_participants_per_round": 3,
        "embedding_size": 3,
        "embedding_var": 1.0,
        "obs_embedding_size": 2,
        "allocation": "SecondPrice",
        "agents": [make_agent(name="Small", num_items=2), make_agent(name="Large", num_items=7, num_copies=3)],
        "output_dir": "results/",
    }
    return parse_auctiongym_config(settings | changes)


def make_agent(bidder: str = "TruthfulBidder", allocator: str = "OracleAllocator", **changes: object) -> dict:
    kwargs = {} if bidder == "TruthfulBidder" else {"gamma_sigma": 0.05}
    entry = {
        "name": "A",
        "num_items": 4,
        "allocator": {"type": allocator, "kwargs": {}},
        "bidder": {"type": bidder, "kwargs": kwargs},
    }
    return entry | changes


def make_learner(kind: str, memory: int = 0) -> dict:
    """An agent that learns its click probabilities, with a bidder of any kind."""
    allocator = {"type": "PyTorchLogisticRegressionAllocator", "kwargs": {"embedding_size": 2, "num_items": 4}}
    kwargs = {} if kind == "TruthfulBidder" else {"gamma_sigma": 0.05}
    if kind == "PolicyLearningBidder":
        kwargs["loss"] = "TRPO"
    bidder = {"type": kind, "kwargs": kwargs}
    return make_agent(name=kind, memory=memory) | {"allocator": allocator, "bidder": bidder}

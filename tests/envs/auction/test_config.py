"""AuctionGym's files load as they are; what cannot be is refused by name."""

from __future__ import annotations

import json

import pytest

from envs.auction.config import (
    ALLOCATORS,
    BIDDERS,
    PolicyLearningBidderConfig,
    ValueLearningBidderConfig,
    load_auctiongym_config,
    parse_auctiongym_config,
)
from gaelp_rl.errors import ConfigError
from tests.envs.auction.reference_data import CONFIGS, make_agent, make_config

LOGISTIC = {"type": "PyTorchLogisticRegressionAllocator", "kwargs": {"embedding_size": 2, "num_items": 4}}


def refuse(**changes: object) -> str:
    with pytest.raises(ConfigError) as caught:
        make_config(**changes)
    return str(caught.value)


def with_bidder(kind: str, **kwargs: object) -> dict:
    return make_agent(num_copies=3, bidder=kind) | {"bidder": {"type": kind, "kwargs": kwargs}}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_load__reads_auctiongyms_files_unchanged(path):
    config = load_auctiongym_config(path)
    raw = json.loads(path.read_text())
    assert config.model_dump(include=raw.keys() - {"agents"}) == {key: raw[key] for key in raw.keys() - {"agents"}}
    assert [agent.num_items for agent in config.agents] == [agent["num_items"] for agent in raw["agents"]]


@pytest.mark.parametrize("spelling", ["search", '"search"', "'search'", ' "search" '])
def test_load__accepts_strings_with_and_without_their_quotes(spelling):
    bidder = with_bidder("ValueLearningBidder", gamma_sigma=0.02, inference=spelling)
    config = make_config(agents=[bidder])
    assert isinstance(config.agents[0].bidder, ValueLearningBidderConfig)
    assert config.agents[0].bidder.kwargs.inference == "search"


@pytest.mark.parametrize(("spelling", "meant"), [("True", True), ("False", False), (True, True), (False, False)])
def test_load__accepts_booleans_as_python_spells_them(spelling, meant):
    allocator = {"type": LOGISTIC["type"], "kwargs": {**LOGISTIC["kwargs"], "thompson_sampling": spelling}}
    config = make_config(agents=[make_agent(num_copies=3) | {"allocator": allocator}])
    assert config.agents[0].allocator.kwargs.thompson_sampling is meant


def test_load__accepts_numbers_in_strings():
    config = make_config(agents=[with_bidder("PolicyLearningBidder", gamma_sigma="2e-2", loss='"PPO"')])
    assert isinstance(config.agents[0].bidder, PolicyLearningBidderConfig)
    assert config.agents[0].bidder.kwargs.gamma_sigma == 0.02


def test_load__never_evaluates_an_argument(tmp_path):
    marker = tmp_path / "marker"
    attack = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    message = refuse(agents=[with_bidder("ValueLearningBidder", gamma_sigma=0.1, inference=attack)])
    assert "inference" in message
    assert not marker.exists()


def test_expand_agents__numbers_copies_by_their_place_among_all():
    agents = [make_agent(name="One"), make_agent(name="Two", num_copies=1), make_agent(name="Three", num_copies=2)]
    names = [agent.name for agent in make_config(agents=agents).expand_agents()]
    assert names == ["One", "Two 2", "Three 3", "Three 4"]


def test_max_slots__is_one_unless_given():
    assert make_config().max_slots == 1
    assert make_config(max_slots=3).max_slots == 3


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"num_itre": 3}, ["num_itre: unknown key", "'num_iter'"]),
        ({"allocation": "ThirdPrice"}, ["allocation = 'ThirdPrice'"]),
        ({"num_participants_per_round": 5}, ["num_participants_per_round is 5 but there are 4 agents"]),
        ({"agents": []}, ["there are 0 agents"]),
        ({"obs_embedding_size": 4}, ["obs_embedding_size is 4 but contexts have 3"]),
        ({"rounds_per_iter": "ten"}, ["rounds_per_iter = 'ten'"]),
        ({"embedding_var": float("nan")}, ["embedding_var"]),
        ({"agents": [make_agent(name="Twin")] * 3}, ["two agents are called 'Twin'", "num_copies"]),
        ({"agents": [make_agent(name="__all__", num_items=1), *[make_agent(num_copies=3)]]}, ["rename it"]),
        ({"agents": [make_agent(bidder="TruthfulBider", num_copies=3)]}, ["agent 'A'", "'TruthfulBidder'"]),
        ({"agents": [make_agent(allocator="Oracle", num_copies=3)]}, ["agent 'A'", "'OracleAllocator'"]),
        ({"agents": [make_agent(num_copies=3, num_item=3)]}, ["agent 'A': num_item: unknown key", "'num_items'"]),
        ({"agents": [with_bidder("EmpiricalShadedBidder", gama_sigma=0.1)]}, ["bidder.kwargs.gama_sigma: unknown key"]),
        ({"agents": [with_bidder("EmpiricalShadedBidder")]}, ["agent 'A': bidder.kwargs.gamma_sigma: missing"]),
        ({"agents": [with_bidder("PolicyLearningBidder", gamma_sigma=0.1, loss="PPP")]}, ["kwargs.loss = 'PPP'"]),
        ({"agents": [with_bidder("TruthfulBidder", gamma=1.0)]}, ["kwargs.gamma: unknown key. It takes none."]),
        ({"agents": [7]}, ["agents.0: the entry = 7"]),
        ({"agents": [{"bidder": {}}]}, ["agents.0: name: missing", "the bidder has no type"]),
    ],
)
def test_load__refuses_by_name(changes, parts):
    message = refuse(**changes)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"embedding_size": 3, "num_items": 4}, "agent 'A': its allocator's embedding_size is 3"),
        ({"embedding_size": 2, "num_items": 5}, "agent 'A': its allocator's num_items is 5"),
    ],
)
def test_load__refuses_a_learned_allocator_that_does_not_fit(arguments, part):
    allocator = {"type": LOGISTIC["type"], "kwargs": arguments}
    assert part in refuse(agents=[make_agent(num_copies=3) | {"allocator": allocator}])


def test_load__says_what_is_wrong_with_a_file(tmp_path):
    (tmp_path / "auction.json").write_text("{", encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    for name, part in [
        ("acution.json", "Did you mean 'auction.json'"),
        ("auction.json", "is not JSON"),
        ("list.json", "is one JSON object"),
        ("bytes.json", "UTF-8"),
    ]:
        with pytest.raises(ConfigError, match=part):
            load_auctiongym_config(tmp_path / name)


def test_parts__are_all_reachable_by_their_type():
    for kind, model in {**ALLOCATORS, **BIDDERS}.items():
        assert model.model_fields["type"].annotation.__args__ == (kind,)


def test_parse__names_every_fault_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_auctiongym_config({"random_seed": -1, "num_iter": 0})
    assert str(caught.value).count("\n") >= 8

r"""AuctionGym's JSON configuration files, read as they are and checked before anything runs.

String arguments may be bare (``"search"``) or carry the quotes that AuctionGym needs (``"\"search\""``);
booleans and numbers may be spelled as in Python inside a string. Nothing in a file is ever evaluated.

Source: AuctionGym (Apache-2.0), its configuration keys; ``max_slots`` is our own (AuctionGym sells one slot).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from gaelp_rl.config import StrictModel
from gaelp_rl.errors import ConfigError, suggest

__all__ = [
    "ALLOCATORS",
    "ALL_AGENTS",
    "BIDDERS",
    "AgentConfig",
    "AuctionConfig",
    "DoublyRobustBidderConfig",
    "EmpiricalShadedBidderConfig",
    "ExplorationArguments",
    "LogisticAllocatorConfig",
    "LogisticArguments",
    "NoArguments",
    "OracleAllocatorConfig",
    "PolicyArguments",
    "PolicyLearningBidderConfig",
    "TruthfulBidderConfig",
    "ValueArguments",
    "ValueLearningBidderConfig",
    "load_auctiongym_config",
    "parse_auctiongym_config",
]

ALL_AGENTS = "__all__"
"""The name under which totals over all agents are reported."""


class NoArguments(StrictModel):
    """For parts that have nothing to set."""


class LogisticArguments(StrictModel):
    """Arguments of the learned logistic allocator."""

    embedding_size: int = Field(ge=0, description="context dimensions that the agent sees, obs_embedding_size")
    num_items: int = Field(ge=1, description="the agent's own num_items")
    thompson_sampling: bool = Field(default=True, description="whether items are picked by a posterior draw")


class ExplorationArguments(StrictModel):
    """Arguments of every bidder that draws its shading factor."""

    gamma_sigma: float = Field(ge=0.0, description="standard deviation of the shading factor while exploring")
    init_gamma: float = Field(default=1.0, description="mean of the shading factor at the start")


class ValueArguments(ExplorationArguments):
    """Arguments of the value-learning bidder."""

    inference: Literal["search", "policy"] = Field(default="search", description="how a shading factor is chosen")


class PolicyArguments(ExplorationArguments):
    """Arguments of the policy-learning bidder."""

    loss: Literal["REINFORCE", "REINFORCE_offpolicy", "TRPO", "PPO"] = Field(description="what the policy minimises")


class OracleAllocatorConfig(StrictModel):
    """Knows every item's true click probability."""

    type: Literal["OracleAllocator"]
    kwargs: NoArguments = NoArguments()


class LogisticAllocatorConfig(StrictModel):
    """Learns click probabilities by logistic regression on what it sees."""

    type: Literal["PyTorchLogisticRegressionAllocator"]
    kwargs: LogisticArguments


class TruthfulBidderConfig(StrictModel):
    """Bids the expected worth."""

    type: Literal["TruthfulBidder"]
    kwargs: NoArguments = NoArguments()


class EmpiricalShadedBidderConfig(StrictModel):
    """Shades by one factor that it moves to where its utility was best."""

    type: Literal["EmpiricalShadedBidder"]
    kwargs: ExplorationArguments


class ValueLearningBidderConfig(StrictModel):
    """Shades by a learned model of the win rate."""

    type: Literal["ValueLearningBidder"]
    kwargs: ValueArguments


class PolicyLearningBidderConfig(StrictModel):
    """Shades by a learned policy."""

    type: Literal["PolicyLearningBidder"]
    kwargs: PolicyArguments


class DoublyRobustBidderConfig(StrictModel):
    """Shades by a policy learned against a win-rate model and logged utilities at once."""

    type: Literal["DoublyRobustBidder"]
    kwargs: ExplorationArguments


AnyAllocator = OracleAllocatorConfig | LogisticAllocatorConfig
AnyBidder = (
    TruthfulBidderConfig
    | EmpiricalShadedBidderConfig
    | ValueLearningBidderConfig
    | PolicyLearningBidderConfig
    | DoublyRobustBidderConfig
)
ALLOCATORS: dict[str, type[BaseModel]] = {
    "OracleAllocator": OracleAllocatorConfig,
    "PyTorchLogisticRegressionAllocator": LogisticAllocatorConfig,
}
"""Allocator types by the name they have in a file."""

BIDDERS: dict[str, type[BaseModel]] = {
    "TruthfulBidder": TruthfulBidderConfig,
    "EmpiricalShadedBidder": EmpiricalShadedBidderConfig,
    "ValueLearningBidder": ValueLearningBidderConfig,
    "PolicyLearningBidder": PolicyLearningBidderConfig,
    "DoublyRobustBidder": DoublyRobustBidderConfig,
}
"""Bidder types by the name they have in a file."""


class AgentConfig(StrictModel):
    """One entry of ``agents``: an advertiser, or several alike."""

    name: str = Field(min_length=1, description="name of the advertiser")
    num_copies: int | None = Field(default=None, ge=1, description="how many alike; given, names get a number")
    num_items: int = Field(ge=1, description="items in its catalogue")
    allocator: Annotated[AnyAllocator, Field(discriminator="type")]
    bidder: Annotated[AnyBidder, Field(discriminator="type")]
    memory: int = Field(default=0, ge=0, description="records kept from one iteration for the next")

    @property
    def is_oracle(self) -> bool:
        """Whether it sees the whole context and knows its items' click probabilities."""
        return isinstance(self.allocator, OracleAllocatorConfig)


class AuctionConfig(StrictModel):
    """A whole AuctionGym experiment."""

    random_seed: int = Field(ge=0, description="seed of the catalogue and the auctions")
    num_runs: int = Field(default=1, ge=1, description="repetitions with the same catalogue and new agents")
    num_iter: int = Field(ge=1, description="iterations per run; agents learn after each")
    rounds_per_iter: int = Field(ge=1, description="auctions per iteration")
    num_participants_per_round: int = Field(ge=1, description="bidders in each auction")
    embedding_size: int = Field(ge=1, description="dimensions of a context")
    embedding_var: float = Field(ge=0.0, description="standard deviation (by its use) of contexts and items")
    obs_embedding_size: int = Field(ge=0, description="context dimensions that learned allocators see")
    allocation: Literal["FirstPrice", "SecondPrice"] = Field(description="how prices are set")
    agents: tuple[AgentConfig, ...] = Field(description="the advertisers")
    output_dir: str = Field(description="where AuctionGym writes; not used here")
    max_slots: int = Field(default=1, ge=1, description="slots of an auction are uniform on 1 to this")

    @property
    def first_price(self) -> bool:
        """Whether a winner pays its own bid."""
        return self.allocation == "FirstPrice"

    def expand_agents(self) -> tuple[AgentConfig, ...]:
        """One entry per advertiser, under the name that AuctionGym gives it.

        Where ``num_copies`` is given, even as 1, the name ends in the advertiser's place among all, from 1.
        """
        expanded: list[AgentConfig] = []
        for agent in self.agents:
            for _ in range(agent.num_copies or 1):
                suffix = "" if agent.num_copies is None else f" {len(expanded) + 1}"
                expanded.append(agent.model_copy(update={"name": agent.name + suffix, "num_copies": None}))
        return tuple(expanded)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = [*_find_size_problems(self), *_find_name_problems(agent.name for agent in self.expand_agents())]
        for agent in self.agents:
            problems += _find_allocator_problems(agent, self.obs_embedding_size)
        if problems:
            raise ValueError("\n".join(problems))
        return self


def load_auctiongym_config(path: Path) -> AuctionConfig:
    """Reads a configuration file of AuctionGym.

    Args:
        path: a JSON file.

    Returns:
        The checked settings.

    Raises:
        ConfigError: the file cannot be read, is not JSON, holds an unknown key or type, or asks for what
            cannot be. The message lists every fault with the agent's name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = suggest(path.name, (item.name for item in path.parent.glob("*.json"))) if path.parent.is_dir() else ""
        raise ConfigError(f"no config file {str(path)!r}.{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {str(path)!r} cannot be read as UTF-8 text: {error}") from error
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"config file {str(path)!r} is not JSON: {error}") from error
    return parse_auctiongym_config(settings, str(path))


def parse_auctiongym_config(settings: object, source: str = "the settings") -> AuctionConfig:
    """Checks settings that were read from JSON.

    Args:
        settings: a JSON object as Python holds it.
        source: what to call it in a message.

    Raises:
        ConfigError: as for `load_auctiongym_config`.
    """
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{source} holds a {type(settings).__name__}; an AuctionGym config is one JSON object")
    plain = _unquote_arguments(settings)
    try:
        return AuctionConfig.model_validate_json(json.dumps(plain))
    except ValidationError as error:
        lines = [_describe_error(settings, details) for details in error.errors(include_url=False)]
        raise ConfigError("\n".join([f"{source} cannot be used:", *lines])) from None


def _unquote_arguments(settings: Mapping[str, object]) -> dict[str, object]:
    plain = dict(settings)
    if isinstance(agents := settings.get("agents"), list):
        plain["agents"] = [_unquote_agent(agent) if isinstance(agent, dict) else agent for agent in agents]
    return plain


def _unquote_agent(agent: dict[str, object]) -> dict[str, object]:
    plain = dict(agent)
    for part in ("allocator", "bidder"):
        entry = agent.get(part)
        if isinstance(entry, dict) and isinstance(arguments := entry.get("kwargs"), dict):
            plain[part] = {**entry, "kwargs": {key: _read_argument(raw) for key, raw in arguments.items()}}
    return plain


def _read_argument(raw: object) -> object:
    """What an argument's text stands for in Python: a quoted or bare word, a boolean or a number."""
    if not isinstance(raw, str):
        return raw
    text = raw.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text in {"True", "False"}:
        return text == "True"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _find_size_problems(config: AuctionConfig) -> list[str]:
    problems = []
    num_agents = sum(agent.num_copies or 1 for agent in config.agents)
    if config.num_participants_per_round > num_agents:
        problems.append(
            f"num_participants_per_round is {config.num_participants_per_round} but there are {num_agents} agents; "
            "a round's participants are distinct: lower it or add agents"
        )
    if config.obs_embedding_size > config.embedding_size:
        problems.append(
            f"obs_embedding_size is {config.obs_embedding_size} but contexts have {config.embedding_size} dimensions "
            "(embedding_size); an agent sees at most all of them"
        )
    return problems


def _find_name_problems(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    problems = []
    for name in names:
        if name in seen:
            problems.append(f"two agents are called {name!r}; give each its own name, or use num_copies")
        if name == ALL_AGENTS:
            problems.append(f"an agent is called {name!r}, the name that totals are reported under; rename it")
        seen.add(name)
    return problems


def _find_allocator_problems(agent: AgentConfig, obs_embedding_size: int) -> list[str]:
    if not isinstance(agent.allocator, LogisticAllocatorConfig):
        return []
    arguments = agent.allocator.kwargs
    problems = []
    if arguments.embedding_size != obs_embedding_size:
        problems.append(
            f"agent {agent.name!r}: its allocator's embedding_size is {arguments.embedding_size} but agents see "
            f"{obs_embedding_size} dimensions (obs_embedding_size); the two must be equal"
        )
    if arguments.num_items != agent.num_items:
        problems.append(
            f"agent {agent.name!r}: its allocator's num_items is {arguments.num_items} but its catalogue has "
            f"{agent.num_items}; the two must be equal"
        )
    return problems


def _describe_error(settings: Mapping[str, object], details: ErrorDetails) -> str:
    location = [part for part in details["loc"] if part not in ALLOCATORS and part not in BIDDERS]
    kind, key = details["type"], str(location[-1]) if location else ""
    if kind == "value_error" and not location:
        return "\n".join(f"  {line}" for line in str(details["ctx"]["error"]).splitlines())
    where = _describe_place(settings, location)
    if kind == "extra_forbidden":
        return f"  {where}: unknown key.{_suggest_key(details)}"
    if kind == "missing":
        return f"  {where}: missing, and it has no default."
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        known = ALLOCATORS if key == "allocator" else BIDDERS
        found = details.get("ctx", {}).get("tag")
        lack = f"{key} type {found!r} does not exist." if found is not None else f"the {key} has no type."
        return f"  {where}: {lack}{suggest(str(found), known)}"
    return f"  {where} = {details['input']!r}: {details['msg'][:1].lower()}{details['msg'][1:]}."


def _describe_place(settings: Mapping[str, object], location: list[int | str]) -> str:
    agents = settings.get("agents")
    if len(location) < 2 or location[0] != "agents" or not isinstance(agents, list):
        return ".".join(str(part) for part in location) or "(top level)"
    entry = agents[int(location[1])]
    name = entry.get("name") if isinstance(entry, dict) else None
    agent = f"agent {name!r}" if isinstance(name, str) else f"agents.{location[1]}"
    return f"{agent}: {'.'.join(str(part) for part in location[2:]) or 'the entry'}"


def _suggest_key(details: ErrorDetails) -> str:
    """The nearest key of the model that refused one."""
    model: type[BaseModel] = AuctionConfig
    for part in details["loc"][:-1]:
        if part in ALLOCATORS or part in BIDDERS:
            model = {**ALLOCATORS, **BIDDERS}[str(part)]
        elif part == "agents":
            model = AgentConfig
        elif part == "kwargs":
            nested = model.model_fields["kwargs"].annotation
            model = nested if isinstance(nested, type) and issubclass(nested, BaseModel) else model
    return suggest(str(details["loc"][-1]), model.model_fields) if model.model_fields else " It takes none."

"""What a version was found to be worth, and whether that is enough to make it champion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gaelp_rl.errors import ConfigError, DataError

__all__ = ["MAX_TAG_CHARACTERS", "Evidence", "dump_tag", "find_objection"]

MAX_TAG_CHARACTERS = 100_000
"""Source: ``mlflow.utils.validation.MAX_MODEL_REGISTRY_TAG_VALUE_LENGTH``."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """An evaluation of one artefact on held-out worlds, and what the claim rule says of it.

    Attributes:
        sha256: identity of the artefact that was judged.
        policy: the name under which it was judged.
        champion: who the claim rule names.
        better: whether it may be called better than the best comparators.
        better_on: families on which it is.
        reasons: by family, in words.
        families: judged on, the deciding one first.
        worlds: held-out worlds per family.
        first_seed: of those worlds.
        fho_iqm: its interquartile mean FHO by family.
        judged_against: version of the trained champion that it was judged against besides the controllers; None where
            there was none.
        git_commit: the code that judged.
    """

    sha256: str
    policy: str
    champion: str
    better: bool
    better_on: tuple[str, ...]
    reasons: Mapping[str, tuple[str, ...]]
    families: tuple[str, ...]
    worlds: int
    first_seed: int
    fho_iqm: Mapping[str, float]
    judged_against: int | None
    git_commit: str

    @property
    def verdict(self) -> str:
        """The verdict in a few words, for tables."""
        if self.champion != self.policy:
            return f"{self.champion} instead"
        return f"better on {', '.join(self.better_on)}" if self.better else "best controller"

    def to_mapping(self) -> dict[str, Any]:
        """JSON types by field."""
        return asdict(self)

    @staticmethod
    def load(text: str) -> Evidence:
        """Reads what ``dump_tag`` wrote.

        Raises:
            DataError: it is damaged.
        """
        try:
            fields = json.loads(text)
            for name in ("better_on", "families"):
                fields[name] = tuple(fields[name])
            fields["reasons"] = {family: tuple(words) for family, words in fields["reasons"].items()}
            return Evidence(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"a version's evaluation cannot be read: {error}; judge it again") from error


def find_objection(evidence: Evidence | None, sha256: str, champion: tuple[int, bool] | None) -> str:
    """Says why a version may not become champion.

    Args:
        evidence: of its evaluation; None where there is none that can be read.
        sha256: identity of the version's artefact.
        champion: version of the present champion, and whether it is a trained policy; None without one.

    Returns:
        The reason in words; empty where the evidence is enough.
    """
    if evidence is None:
        return "it was never judged, or its evaluation cannot be read"
    if evidence.sha256 != sha256:
        return f"its evaluation is of another artefact, {evidence.sha256[:16]}, and not of {sha256[:16]}"
    if evidence.champion != evidence.policy:
        found = "; ".join(f"{family}: {', '.join(words)}" for family, words in evidence.reasons.items())
        return f"the claim rule named {evidence.champion!r} and not it ({found})"
    if champion is None or not champion[1]:
        return ""  # a controller is among the comparators of every evaluation
    if evidence.judged_against == champion[0]:
        return ""
    return f"it was not judged against version {champion[0]}, a trained policy that is champion now"


def dump_tag(content: Mapping[str, object]) -> str:
    """Evidence as the text of a tag.

    Raises:
        ConfigError: it is empty, no JSON, or above 100,000 characters.
    """
    if not content:
        raise ConfigError("a promotion needs evidence and was given none: pass the verdict of the claim rule")
    try:
        text = json.dumps(content, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the evidence of a promotion must be JSON: {error}; convert it to plain numbers") from error
    if len(text) > MAX_TAG_CHARACTERS:
        raise ConfigError(
            f"the evidence has {len(text)} characters as JSON, and at most {MAX_TAG_CHARACTERS} fit: pass the verdict "
            "without per-world numbers, and log those as an artefact of the run"
        )
    return text

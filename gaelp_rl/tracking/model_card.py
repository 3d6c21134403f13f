"""The model card of a registered policy: what it learned from, how it scored, where it must not go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gaelp_rl.errors import ConfigError, suggest

__all__ = ["SECTIONS", "make_model_card"]

SECTIONS: Mapping[str, str] = {
    "summary": "Summary",
    "use": "Intended use",
    "policy": "Policy",
    "data": "Training data",
    "worlds": "Worlds",
    "scores": "Scores on held-out worlds",
    "verdict": "Claim",
    "limits": "Limits",
}
"""The sections of a card, in order: key of the facts, and heading."""

_NOT_RECORDED = "Not recorded."


def make_model_card(title: str, facts: Mapping[str, object]) -> str:
    """Writes a model card in Markdown.

    Args:
        title: the heading of the card.
        facts: by key of ``SECTIONS``: text becomes a paragraph, a mapping or a list of text becomes
            bullets, and a list of mappings becomes a table whose columns are the keys of the first
            row. A section without facts says that it was not recorded.

    Returns:
        The card; every section is present.

    Raises:
        ConfigError: a key is no section.
    """
    for key in facts:
        if key not in SECTIONS:
            raise ConfigError(f"{key!r} is no section of a model card.{suggest(key, SECTIONS)}")
    parts = [f"# {_make_inline(title)}"]
    for key, heading in SECTIONS.items():
        parts += [f"## {heading}", _make_section(facts.get(key))]
    return "\n\n".join(parts) + "\n"


def _make_section(fact: object) -> str:
    if not fact:
        return _NOT_RECORDED
    if isinstance(fact, Mapping):
        return "\n".join(f"- {_make_inline(name)}: {_make_inline(entry)}" for name, entry in fact.items())
    if isinstance(fact, Sequence) and not isinstance(fact, str):
        rows = [entry for entry in fact if isinstance(entry, Mapping)]
        if len(rows) == len(fact):
            return _make_table(rows)
        return "\n".join(f"- {_make_inline(entry)}" for entry in fact)
    return str(fact).strip()


def _make_table(rows: Sequence[Mapping[str, object]]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_make_inline(row.get(column)) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _make_inline(entry: object) -> str:
    """One line of text: numbers to four digits, nothing that would end a table cell."""
    if entry is None:
        return "n/a"
    text = f"{entry:.4g}" if isinstance(entry, float) else str(entry)
    return " ".join(text.split()).replace("|", "\\|")

from __future__ import annotations

import pytest

from gaelp_rl.errors import ConfigError
from gaelp_rl.tracking.model_card import SECTIONS, make_model_card


def test_make_model_card__every_kind_of_fact() -> None:
    card = make_model_card(
        "gaelp-bidder 3",
        {
            "summary": "A residual on the reference controller.",
            "worlds": {"family": "campaign", "held out": 200},
            "scores": [{"policy": "champion", "fho": 0.91234}, {"policy": "a|b\nc", "fho": None}],
            "limits": ["never trained on outages"],
        },
    )
    assert card.startswith(
        "# gaelp-bidder 3\n\n## Summary\n\nA residual on the reference controller.\n\n## Intended use\n"
    )
    assert "## Policy\n\nNot recorded.\n" in card
    assert "- family: campaign\n- held out: 200\n" in card
    assert "| policy | fho |\n| --- | --- |\n| champion | 0.9123 |\n| a\\|b c | n/a |\n" in card
    assert card.endswith("## Limits\n\n- never trained on outages\n")


def test_make_model_card__empty_facts_still_have_every_section() -> None:
    card = make_model_card("x", {})
    assert [line[3:] for line in card.splitlines() if line.startswith("## ")] == list(SECTIONS.values())
    assert card.count("Not recorded.") == len(SECTIONS)


def test_make_model_card__unknown_section() -> None:
    with pytest.raises(ConfigError, match=r"'score' is no section.* Did you mean 'scores'"):
        make_model_card("x", {"score": []})

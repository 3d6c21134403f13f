"""The ablation's variants and table."""

from __future__ import annotations

import pytest
from rich.console import Console

from experiments.ablate import VARIANTS, _make_table
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SprintConfig


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variant__changes_what_it_names_and_no_more(name: str) -> None:
    default, variant = load_config(SprintConfig), load_config(SprintConfig, None, VARIANTS[name])
    changed = [
        key
        for part, other in ((default, variant), (default.training, variant.training))
        for key in type(part).model_fields
        if key != "training" and getattr(part, key) != getattr(other, key)
    ]
    assert len(changed) == len(VARIANTS[name])
    assert len(changed) == {"default": 0, "free policy": 4}.get(name, 1)


def test_table__shows_mean_and_range_over_seeds() -> None:
    """By hand: the mean of 0.1 and 0.3 is 0.2."""
    results = {f"default | seed {seed} | 64 episodes": {"campaign x 1": 0.1 + 0.2 * seed} for seed in (0, 1)}
    console = Console(width=120, record=True)
    console.print(_make_table(results, ["default"], 64))
    assert "+0.200 (+0.100 to +0.300)" in console.export_text()

"""The terminal table."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.domain.objective import Objective
from gaelp_rl.evaluation.comparison import compare
from gaelp_rl.evaluation.console_table import render_table
from gaelp_rl.evaluation.outcomes import WorldOutcomes


def test_render_table__shows_every_policy_and_marks_the_bar(make_outcomes: Callable[..., WorldOutcomes]) -> None:
    """Best first, the best comparator starred, the oracle marked; it fits 100 columns."""
    comparison = compare(
        [
            make_outcomes("reference", 0.9),
            make_outcomes("fixed_bids", 0.7, breach=True),
            make_outcomes("true_parameters", 0.98, knows_truth=True),
        ],
        {"reference", "fixed_bids"},
        Objective(),
        EvaluationConfig(bootstrap_resamples=100),
    )
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(render_table(comparison))
    lines = capture.get().splitlines()
    rows = [line for line in lines if line.strip().startswith(("reference", "fixed_bids", "true_parameters"))]
    assert [row.split()[0] for row in rows] == ["true_parameters", "reference", "fixed_bids"]
    assert rows[0].split()[1] == "°"
    assert rows[1].split()[1] == "*"
    assert f"{100 * comparison.find('fixed_bids').fho_iqm:.1f}" in rows[2]
    assert " 2.5 " in rows[2]
    assert "…" not in capture.get()

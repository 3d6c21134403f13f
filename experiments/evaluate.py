"""``gaelp evaluate``: judge policies in held-out worlds, against comparators and the hindsight optimum."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from experiments.judge import HeldOutWorlds, judge, load_worlds
from experiments.planners import TRUTH_INFORMED, NamedPlanner, resolve_planner
from experiments.progress import WorkProgress, make_console
from experiments.world_pool import WorldPool
from gaelp_rl.config.evaluation import EvaluationConfig
from gaelp_rl.config.fidelity import FIDELITIES, Fidelity
from gaelp_rl.config.market import load_family
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.evaluation.claim import compute_claim_verdict
from gaelp_rl.evaluation.comparison import FamilyComparison, compare
from gaelp_rl.evaluation.console_table import render_table
from gaelp_rl.evaluation.fidelity import FidelityCheck, compute_fidelity_check, render_fidelity_check
from gaelp_rl.evaluation.report import EvaluationReport, write_report
from gaelp_rl.evaluation.results_file import ResultsMeta, write_json
from gaelp_rl.evaluation.volume import VolumeCurve, compute_volume_curve
from gaelp_rl.tracking import load_git_state

__all__ = ["Judgement", "evaluate_families", "make_results_meta", "run_evaluate"]

_PROJECT = Path(__file__).resolve().parents[1]
_VOLUME_BUDGETS = np.array([50.0, 100.0, 200.0, 350.0, 500.0, 750.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0])
_VOLUME_WORLDS = 24


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an evaluation found.

    Attributes:
        comparisons: one per family, in the order asked for.
        volume: the volume curve of the first family's worlds.
        fidelity_check: the policies that were to be checked and the best comparator at both
            fidelities; None where none was asked for.
    """

    comparisons: tuple[FamilyComparison, ...]
    volume: VolumeCurve | None
    fidelity_check: FidelityCheck | None = None


def evaluate_families(
    planners: Sequence[NamedPlanner],
    config: EvaluationConfig,
    comparators: Collection[str],
    console: Console,
    checked: Collection[str] = (),
    pool: WorldPool | None = None,
) -> Judgement:
    """Runs every planner on the held-out test worlds of every family.

    Args:
        planners: who is judged, comparators included.
        config: families, worlds and intervals.
        comparators: which names a claim must beat.
        console: shows progress and tables.
        checked: names of policies whose score at both fidelities is wanted, beside that of the
            first family's best comparator.
        pool: runs planners side by side; one of its own, of all cores, if not given.
    """
    if pool is None:
        with WorldPool() as own:
            return evaluate_families(planners, config, comparators, console, checked, own)
    comparisons = []
    volume: VolumeCurve | None = None
    for name in config.families:
        family = load_family(name).at_fidelity(config.fidelity)
        worlds = load_worlds(family, "test", config.seed, config.worlds)
        with WorkProgress(console, f"judging on {name}", len(planners) * family.days * HOURS_PER_DAY) as progress:
            outcomes = judge(planners, worlds, progress.update, pool)
        comparison = compare(outcomes, comparators, family.objective, config)
        console.print(render_table(comparison))
        comparisons.append(comparison)
        volume = volume or _compute_volume(worlds)
    check = None
    if checked and config.cross_check_worlds:
        names = {*checked, comparisons[0].best_comparator}
        check = _check_fidelities([planner for planner in planners if planner.name in names], config, console, pool)
    return Judgement(tuple(comparisons), volume, check)


def make_results_meta(fidelity: Fidelity) -> ResultsMeta:
    """Code version, time and market fidelity of what is being written."""
    return ResultsMeta(
        git_sha=load_git_state(_PROJECT).label,
        fidelity=fidelity,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def run_evaluate(
    policies: Sequence[str],
    families: Sequence[str],
    worlds: int,
    seed: int,
    json_path: Path | None,
    out: Path,
    fidelity: Fidelity = "aggregate",
) -> None:
    """Judges policies and writes the table, JSON and report.

    Args:
        policies: references (see ``resolve_planner``); the comparators always run beside them, and
            alone, with the truth-informed diagnosis, if there are none.
        families: names of families, or paths of market TOMLs.
        worlds: held-out worlds per family.
        seed: first seed of the worlds, and seed of the bootstrap.
        json_path: where the scores go besides ``out/results.json``; None for nowhere.
        out: folder of the report.
        fidelity: of the market; trained policies are shown at the other one too, on fewer worlds.

    Raises:
        UnknownReferenceError: a policy reference means nothing.
        ConfigError: a family does not exist.
    """
    console = make_console()
    config = EvaluationConfig(families=tuple(families), worlds=worlds, seed=seed, fidelity=fidelity)
    asked = [resolve_planner(reference) for reference in dict.fromkeys(policies)]
    names = {planner.name for planner in asked}
    extras = [name for name in (*COMPARATORS, TRUTH_INFORMED) if name not in names]
    trained = [planner.name for planner in asked if planner.name not in COMPARATORS and not planner.knows_truth]
    planners = [*asked, *map(resolve_planner, extras)]
    judgement = evaluate_families(planners, config, set(COMPARATORS), console, trained)
    verdict = compute_claim_verdict(trained[0], judgement.comparisons) if trained else None
    meta = make_results_meta(fidelity)
    for path in filter(None, (out / "results.json", json_path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, judgement.comparisons, meta, judgement.fidelity_check)
        console.print(f"scores: {path}")
    report = EvaluationReport(
        judgement.comparisons, meta, verdict, judgement.volume, fidelity_check=judgement.fidelity_check
    )
    console.print(f"report: {write_report(out, report)}")


def _check_fidelities(
    planners: Sequence[NamedPlanner], config: EvaluationConfig, console: Console, pool: WorldPool
) -> FidelityCheck:
    """The planners in the same few worlds of the first family at both fidelities."""
    family = load_family(config.families[0])
    worlds = load_worlds(family, "test", config.seed, config.cross_check_worlds)
    hours = len(planners) * family.days * HOURS_PER_DAY
    outcomes = {}
    for fidelity in FIDELITIES:
        with WorkProgress(console, f"cross-check, {fidelity} fidelity", hours) as progress:
            held_out = replace(worlds, family=family.at_fidelity(fidelity))
            outcomes[fidelity] = judge(planners, held_out, progress.update, pool)
    check = compute_fidelity_check(outcomes["aggregate"], outcomes["auction"], family.objective, config)
    console.print(render_fidelity_check(check))
    return check


def _compute_volume(worlds: HeldOutWorlds) -> VolumeCurve:
    """What each budget could buy, on the first few worlds: a curve needs fewer than an interval."""
    some = slice(0, _VOLUME_WORLDS)
    curves = worlds.curves
    fewer = type(curves)(
        click_volume=curves.click_volume[some],
        price_median=curves.price_median[some],
        conversion_rate=curves.conversion_rate[some],
        sigma=curves.sigma,
        first_price=curves.first_price,
    )
    return compute_volume_curve(fewer, worlds.family.objective, _VOLUME_BUDGETS)

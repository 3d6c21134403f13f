"""``gaelp sprint``: train a policy, choose its weights, judge it, register the champion, write a report.

    python -m experiments.sprint [--config FILE] [--set KEY=VALUE ...] [--resume PATH|latest]

does the same as a plain program, for ``ray job submit``.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from rich.console import Console

from experiments.bootstrap_start import apply_bootstrap, choose_bootstrap
from experiments.candidates import Candidate, choose_candidate, load_snapshots
from experiments.champion import SprintResult, compute_sprint_verdict, export_policy, find_incumbent, settle_champion
from experiments.datasets import make_sprint_datasets
from experiments.evaluate import evaluate_families, make_results_meta
from experiments.planners import TRUTH_INFORMED, make_comparator_planner, make_policy_planner, resolve_planner
from experiments.preflight import run_preflight
from experiments.progress import WorkProgress, make_console
from experiments.score_runs import log_scores
from experiments.sprint_folder import SprintFolder, SprintRecord
from experiments.training_loop import TrainingLoop
from experiments.validation import Validator
from experiments.world_pool import WorldPool
from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.market import load_family
from gaelp_rl.config.sprint import NO_BOOTSTRAP, SprintConfig, load_sprint_config
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.errors import CheckpointError, GaelpError
from gaelp_rl.evaluation.learning_curve import LearningCurve
from gaelp_rl.evaluation.report import EvaluationReport, write_report
from gaelp_rl.evaluation.results_file import write_json
from gaelp_rl.policy import MlpNetwork, load_policy
from gaelp_rl.tracking import Tracker, make_environment_tags, resume_run, start_run, tracking_uri_hidden
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.setup import make_algorithm_config
from gaelp_rl.training.start_up import listen_to_start_up

__all__ = ["choose_weights", "main", "run_sprint", "start_ray", "train_policy"]

_PROJECT = Path(__file__).resolve().parents[1]
_OBJECT_STORE_BYTES = 200 * 2**20
_INTERRUPTED = 130
_MIGRATION_NOTICES = ("ray.rllib.algorithms.algorithm_config", "ray.rllib.algorithms.sac.sac")
"""Loggers that greet every user of the new API stack."""


def run_sprint(config: SprintConfig, resume: str | None = None) -> SprintResult:
    """Runs a sprint from start (or a checkpoint) to report.

    Args:
        config: all settings.
        resume: ``latest``, the path of a checkpoint, or None to start anew.

    Returns:
        What came out.

    Raises:
        KeyboardInterrupt: it was interrupted; training goes on from a checkpoint saved then.
        CheckpointError: nothing to resume from, or the disk refuses.
        ResourceError: it needs more than there is; nothing was written.
        GaelpError: any other error raised on purpose.
    """
    console, folder = make_console(), SprintFolder(config.out)
    if os.environ.get("RAY_ADDRESS"):
        start_ray()
    run_preflight(config, console)
    if resume is None:
        config = choose_bootstrap(config, console)  # before the folder's earlier run gives way
        folder.start(config, console)
        checkpoint = None
        tracker = start_run(config.tracking, config.out.name, make_environment_tags(_PROJECT))
        record = SprintRecord(tracker.run_id, [])
    else:
        checkpoint = folder.find_checkpoint(resume)
        record = SprintRecord.load(folder.record)
        tracker = resume_run(config.tracking, record.run_id)
    console.print(f"sprint of {config.training.episodes:,} episodes on {', '.join(config.families)}; out: {config.out}")
    with tracker, WorldPool() as pool:
        tracker.log_params(config.model_dump(mode="json", exclude={"trust", "tracking"}))
        tracker.log_datasets(make_sprint_datasets(config))
        validator = Validator(config, pool=pool)
        network = train_policy(config, folder, record, checkpoint, validator, tracker, console)
        candidate = choose_weights(config, folder, network, validator, console)
        return _finish(config, folder, record, candidate, validator, pool, tracker, console)


def main(arguments: Sequence[str] | None = None) -> int:
    """The sprint as a program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.sprint", description=__doc__)
    parser.add_argument("--config", type=Path, help="settings, as TOML")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--resume", metavar="PATH|latest", help="go on from a checkpoint")
    options = parser.parse_args(arguments)
    try:
        run_sprint(load_sprint_config(options.config, options.set, options.resume), options.resume)
    except GaelpError as error:
        sys.stderr.write(f"gaelp: {error}\n")
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def train_policy(
    config: SprintConfig,
    folder: SprintFolder,
    record: SprintRecord,
    checkpoint: Path | None,
    validator: Validator,
    tracker: Tracker,
    console: Console,
) -> MlpNetwork:
    """Trains to the end.

    Args:
        config: all settings.
        folder: takes checkpoints and snapshots.
        record: of the run.
        checkpoint: to go on from; None to start anew.
        validator: scores weights on the way.
        tracker: takes metrics.
        console: shows progress.

    Returns:
        The last weights.

    Raises:
        KeyboardInterrupt: it was interrupted, and saved.
        CheckpointError: the checkpoint cannot be used, or the disk refuses.
    """
    start_ray()
    try:
        training = make_training_config(config)
        with _show_start_up(console, training.env_runners):
            algorithm = make_algorithm_config(training, ENV_NAME, make_env_creator(config)).build_algo()
        if not isinstance(algorithm, FastSAC):
            msg = f"{type(algorithm).__name__} was built where FastSAC was expected"
            raise CheckpointError(msg)
        if checkpoint:
            algorithm.load_training(checkpoint)
            folder.save_settings(config)
            worlds = "the same worlds" if algorithm.has_continued_worlds else "new worlds"
            console.print(f"resumed at {algorithm.episodes:,} episodes from {checkpoint}, in {worlds}")
        elif config.bootstrap not in ("", NO_BOOTSTRAP):
            sha256 = apply_bootstrap(algorithm, config)
            tracker.set_tags({"bootstrap": sha256})
            console.print(f"starts from {config.bootstrap} ({sha256[:12]}): {len(algorithm.replay):,} transitions")
        return TrainingLoop(config, folder, record, algorithm, validator, tracker, console).run()
    finally:
        ray.shutdown()


@contextmanager
def _show_start_up(console: Console, env_runners: int) -> Iterator[None]:
    """Progress while remote env runners come up; nothing where there are none."""
    if not env_runners:
        yield
        return
    with (
        WorkProgress(console, "starting env runners", env_runners) as progress,
        listen_to_start_up(lambda up, count: progress.update(up, f"{up} of {count} up")),
    ):
        yield


def start_ray() -> None:
    """A local Ray for this process, or the cluster that ``RAY_ADDRESS`` names."""
    for name in _MIGRATION_NOTICES:
        logging.getLogger(name).setLevel(logging.ERROR)
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
        return
    with tracking_uri_hidden():  # workers inherit the environment, and none of them writes to the tracking store
        ray.init(
            address="local",  # not the cluster of `gaelp cluster up`, which a plain sprint has no token for
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            logging_level="ERROR",
        )


def choose_weights(
    config: SprintConfig, folder: SprintFolder, network: MlpNetwork, validator: Validator, console: Console
) -> Candidate:
    """The snapshot and the share of its action that validated best; ``network`` gives the layers' sizes."""
    snapshots = load_snapshots(folder.snapshots, network.layer_sizes)
    with WorkProgress(console, "choosing weights", (len(snapshots) + 1) * len(config.residual_scales)) as progress:
        candidate = choose_candidate(
            snapshots,
            config.residual_scales,
            validator,
            lambda done, _total, one: progress.update(done, f"{one.name} x {one.policy.scale:g}"),
        )
    score = 100 * candidate.validation.score
    console.print(f"chosen on validation worlds: {candidate.name} x {candidate.policy.scale:g} ({score:+.3f} points)")
    return candidate


def _finish(
    config: SprintConfig,
    folder: SprintFolder,
    record: SprintRecord,
    candidate: Candidate,
    validator: Validator,
    pool: WorldPool,
    tracker: Tracker,
    console: Console,
) -> SprintResult:
    """Exports, judges on test worlds, registers, reports."""
    export_policy(folder.policy, config, candidate, tracker.run_id)
    planner = make_policy_planner("policy", load_policy(folder.policy))
    policy = replace(planner, training_seed=config.training.seed)
    rivals = [make_comparator_planner(name) for name in COMPARATORS]
    incumbent = find_incumbent(config.tracking, config.trust, console)
    if incumbent is not None:
        rivals.append(incumbent.planner)
    planners = [policy, *rivals, resolve_planner(TRUTH_INFORMED)]
    comparators = {rival.name for rival in rivals}
    judgement = evaluate_families(planners, config.evaluation, comparators, console, ["policy"], pool)
    verdict = compute_sprint_verdict(judgement, candidate)
    log_scores(judgement, tracker)
    meta = make_results_meta(config.evaluation.fidelity)
    report = EvaluationReport(
        judgement.comparisons,
        meta,
        verdict,
        judgement.volume,
        _make_curve(config, record, validator.reference_fho),
        fidelity_check=judgement.fidelity_check,
    )
    report_path = write_report(folder.report, report)
    results_path = folder.report / "results.json"
    write_json(results_path, judgement.comparisons, meta, judgement.fidelity_check)
    for path in sorted(folder.report.iterdir()):
        tracker.log_artifact(path, "report")
    result = settle_champion(config, folder.policy, candidate, judgement, verdict, incumbent, tracker, report_path)
    _print_summary(console, result, results_path)
    return result


def _make_curve(config: SprintConfig, record: SprintRecord, reference_fho: Mapping[str, float]) -> LearningCurve:
    family = load_family(config.families[0]).name
    return LearningCurve(
        family=family,
        episodes=np.array([int(point["episodes"]) for point in record.curve], dtype=np.int64),
        fho=np.array([[point[family] for point in record.curve]]),
        reference_fho=reference_fho[family],
    )


def _print_summary(console: Console, result: SprintResult, results_path: Path) -> None:
    rows: dict[str, Any] = {
        "champion": f"{result.verdict.champion} ({result.champion_uri})",
        "trained policy": f"{result.policy_path} ({result.challenger_uri})",
        "scores": results_path,
        "report": result.report_path,
    }
    console.rule("sprint finished")
    console.print(result.plain_words)
    for name, entry in rows.items():
        console.print(f"{name:>14}: {entry}")
    console.print("Look closer: gaelp mlflow, or open the report in a browser.")


if __name__ == "__main__":
    raise SystemExit(main())

"""The same sprint with many training seeds, judged together: luck in training becomes part of the interval.

    python -m experiments.seeds --seeds 10 [--config FILE] [--set KEY=VALUE ...] [--jobs N] [--out DIR]

Every seed trains in a process of its own and leaves a policy; what is finished is kept, so that an
interrupted study goes on where it was. Then all of them are judged as one policy on the held-out
worlds, by the claim rule. Nothing is registered.

Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice".
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from experiments.champion import export_policy
from experiments.evaluate import Judgement, evaluate_families, make_results_meta
from experiments.planners import TRUTH_INFORMED, make_comparator_planner, make_policy_planner, resolve_planner
from experiments.progress import WorkProgress, make_console
from experiments.sprint import choose_weights, train_policy
from experiments.sprint_folder import SprintFolder, SprintRecord
from experiments.validation import Validator
from gaelp_rl.config.sprint import SprintConfig, load_sprint_config
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.errors import GaelpError, ResourceError
from gaelp_rl.evaluation.claim import ClaimVerdict, compute_claim_verdict
from gaelp_rl.evaluation.report import EvaluationReport, write_report
from gaelp_rl.evaluation.results_file import write_json
from gaelp_rl.policy import load_policy
from gaelp_rl.tracking import PARENT_TAG, make_environment_tags, start_run
from gaelp_rl.training.checkpoint import list_checkpoints

__all__ = ["judge_seeds", "main", "train_seed"]

_PROJECT = Path(__file__).resolve().parents[1]
_POLL_S = 0.5


def train_seed(config: SprintConfig, parent: str, console: Console) -> Path:
    """Trains one seed, or goes on with it, and exports its policy; one that is there is left alone.

    Args:
        config: a sprint's settings, with the seed and a folder of its own.
        parent: the study's MLflow run; empty for none.
        console: shows progress.

    Returns:
        The policy's folder.
    """
    folder = SprintFolder(config.out)
    if folder.policy.is_dir():
        return folder.policy
    checkpoints = list_checkpoints(folder.checkpoints)
    if not checkpoints:
        folder.start(config, console)
    tags = make_environment_tags(_PROJECT) | ({PARENT_TAG: parent} if parent else {})
    with start_run(config.tracking, f"{config.out.parent.name}-{config.out.name}", tags) as tracker:
        tracker.log_params(config.model_dump(mode="json", exclude={"trust", "tracking"}))
        record = SprintRecord.load(folder.record) if checkpoints else SprintRecord(tracker.run_id, [])
        validator = Validator(config)
        checkpoint = checkpoints[-1] if checkpoints else None
        network = train_policy(config, folder, record, checkpoint, validator, tracker, console)
        candidate = choose_weights(config, folder, network, validator, console)
        tracker.log_metrics({"validation/chosen_score": candidate.validation.score}, config.training.episodes)
        export_policy(folder.policy, config, candidate, tracker.run_id)
    return folder.policy


def judge_seeds(config: SprintConfig, policies: Sequence[Path], console: Console) -> tuple[Judgement, ClaimVerdict]:
    """Judges the policies of all seeds as one, and writes the report into ``config.out``.

    Args:
        config: a sprint's settings.
        policies: artefacts; the place in the sequence is the training seed.
        console: shows the tables.

    Returns:
        The judgement and the verdict of the claim rule.
    """
    trained = [
        replace(make_policy_planner("policy", load_policy(path)), training_seed=seed)
        for seed, path in enumerate(policies)
    ]
    rivals = [make_comparator_planner(name) for name in COMPARATORS]
    evaluation = config.evaluation.model_copy(update={"cross_check_worlds": 0})
    planners = [*trained, *rivals, resolve_planner(TRUTH_INFORMED)]
    judgement = evaluate_families(planners, evaluation, set(COMPARATORS), console)
    verdict = compute_claim_verdict("policy", judgement.comparisons)
    meta = make_results_meta(evaluation.fidelity)
    report = write_report(config.out, EvaluationReport(judgement.comparisons, meta, verdict, judgement.volume))
    write_json(config.out / "results.json", judgement.comparisons, meta)
    console.print(f"report: {report}")
    return judgement, verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains every seed, judges them together and prints the verdict; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.seeds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2, help="seeds that train at the same time")
    parser.add_argument("--config", type=Path, help="settings, as TOML")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--only", type=int, metavar="SEED", help="train this seed and stop")
    parser.add_argument("--parent", default="", metavar="RUN_ID", help="MLflow run that --only belongs to")
    options = parser.parse_args(arguments)
    console = make_console()
    try:
        config = load_sprint_config(options.config, options.set, None).model_copy(update={"out": options.out})
        if options.only is not None:
            train_seed(_make_seed_config(config, options.only), options.parent, console)
            return 0
        _run_study(config, options, console)
    except GaelpError as error:
        sys.stderr.write(f"gaelp: {error}\n")
        return 2
    return 0


def _run_study(config: SprintConfig, options: argparse.Namespace, console: Console) -> None:
    with start_run(config.tracking, config.out.name, make_environment_tags(_PROJECT)) as tracker:
        tracker.log_params({**config.model_dump(mode="json", exclude={"trust", "tracking"}), "seeds": options.seeds})
        _train_all(options, tracker.run_id, console)
        policies = [SprintFolder(_make_seed_config(config, seed).out).policy for seed in range(options.seeds)]
        judgement, verdict = judge_seeds(config, policies, console)
        for comparison in judgement.comparisons:
            tracker.log_metrics({f"test/{comparison.family}/fho_iqm": comparison.find("policy").fho_iqm}, 0)
        tracker.log_artifact(config.out / "results.json", "report")
    console.print(asdict(verdict))


def _make_seed_config(config: SprintConfig, seed: int) -> SprintConfig:
    training = config.training.model_copy(update={"seed": seed})
    return config.model_copy(update={"training": training, "out": config.out / f"seed-{seed:02d}"})


def _train_all(options: argparse.Namespace, parent: str, console: Console) -> None:
    """Runs one process per seed, ``options.jobs`` at a time, each with its share of the cores for matrix products."""
    threads = max((os.cpu_count() or 1) // options.jobs, 1)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    command = [sys.executable, "-m", "experiments.seeds", "--out", str(options.out), "--parent", parent]
    command += ["--config", str(options.config)] if options.config else []
    command += [part for setting in options.set for part in ("--set", setting)]
    options.out.mkdir(parents=True, exist_ok=True)
    waiting = list(range(options.seeds))
    running: dict[int, subprocess.Popen[bytes]] = {}
    try:
        with WorkProgress(console, "training seeds", options.seeds) as progress:
            while waiting or running:
                while waiting and len(running) < options.jobs:
                    seed = waiting.pop(0)
                    with (options.out / f"seed-{seed:02d}.log").open("wb") as log:
                        running[seed] = subprocess.Popen(
                            [*command, "--only", str(seed)], stdout=log, stderr=log, env=environment
                        )
                time.sleep(_POLL_S)
                for seed in [seed for seed, process in running.items() if process.poll() is not None]:
                    _check_exit(options.out, seed, running.pop(seed).returncode)
                progress.update(options.seeds - len(waiting) - len(running))
    finally:
        for process in running.values():
            process.terminate()


def _check_exit(out: Path, seed: int, code: int) -> None:
    if code != 0:
        msg = f"training seed {seed} ended with exit code {code}: see {out / f'seed-{seed:02d}.log'}, then run again"
        raise ResourceError(msg)


if __name__ == "__main__":
    raise SystemExit(main())

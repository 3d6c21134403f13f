"""``gaelp sprint``: train a policy, choose its weights, judge it, register the champion, write a report.

    python -m experiments.sprint [--config FILE] [--set KEY=VALUE ...] [--resume PATH|latest]

does the same as a plain program, for ``ray job submit``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from rich.console import Console

from experiments.candidates import Candidate, ScaledNetwork, choose_candidate, load_snapshots, save_snapshot
from experiments.champion import SprintResult, export_policy, settle_champion
from experiments.evaluate import Judgement, evaluate_families, make_results_meta
from experiments.planners import TRUTH_INFORMED, make_comparator_planner, make_policy_planner, resolve_planner
from experiments.progress import WorkProgress, make_console
from experiments.validation import Validator
from experiments.worlds import ENV_NAME, make_env_creator, make_training_config
from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.control.registry import COMPARATORS
from gaelp_rl.errors import CheckpointError, GaelpError
from gaelp_rl.evaluation.claim import compute_claim_verdict
from gaelp_rl.evaluation.learning_curve import LearningCurve
from gaelp_rl.evaluation.report import EvaluationReport, write_report
from gaelp_rl.evaluation.results_file import write_json
from gaelp_rl.policy import MlpNetwork, load_policy
from gaelp_rl.tracking import Tracker, make_environment_tags, resume_run, start_run
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.checkpoint import find_latest_checkpoint
from gaelp_rl.training.export import extract_actor_weights
from gaelp_rl.training.metrics import collect_training_metrics
from gaelp_rl.training.setup import make_algorithm_config

__all__ = ["main", "run_sprint", "start_ray"]

_PROJECT = Path(__file__).resolve().parents[1]
_OBJECT_STORE_BYTES = 200 * 2**20
_INTERRUPTED = 130


@dataclass
class _Run:
    """What survives an interruption: kept as JSON beside the checkpoints."""

    run_id: str
    curve: list[dict[str, float]]

    def save(self, path: Path) -> None:
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> _Run:
        try:
            return _Run(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            msg = f"{path} cannot be read ({error}): the run cannot be resumed; start it anew without --resume"
            raise CheckpointError(msg) from error


class _Folders:
    """Where a sprint keeps what."""

    def __init__(self, out: Path) -> None:
        self.root = out
        self.checkpoints = out / "checkpoints"
        self.snapshots = out / "snapshots"
        self.state = out / "run.json"
        self.policy = out / "policy"
        self.report = out / "report"


def run_sprint(config: SprintConfig, resume: str | None = None) -> SprintResult | None:
    """Runs a sprint from start (or a checkpoint) to report.

    Args:
        config: all settings.
        resume: ``latest``, the path of a checkpoint, or None to start anew.

    Returns:
        What came out; None where training was interrupted and saved.

    Raises:
        CheckpointError: nothing to resume from, or the disk refuses.
        GaelpError: any other error raised on purpose.
    """
    console, folders = make_console(), _Folders(config.out)
    folders.root.mkdir(parents=True, exist_ok=True)
    (folders.root / "sprint.toml").write_text(dump_config(config), encoding="utf-8")
    checkpoint = _find_checkpoint(folders, resume)
    run = _Run.load(folders.state) if checkpoint else None
    console.print(f"sprint of {config.training.episodes:,} episodes on {', '.join(config.families)}; out: {config.out}")
    tags = make_environment_tags(_PROJECT)
    tracker = resume_run(config.tracking, run.run_id) if run else start_run(config.tracking, config.out.name, tags)
    run = run or _Run(tracker.run_id, [])
    if checkpoint is None:
        _clear(folders.snapshots)
    with tracker:
        tracker.log_params(config.model_dump(mode="json", exclude={"trust", "tracking"}))
        validator = Validator(config)
        network = _train(config, folders, run, checkpoint, validator, tracker, console)
        if network is None:
            return None
        candidate = _choose(config, folders, network, validator, console)
        return _finish(config, folders, run, candidate, validator, tracker, console)


def main(arguments: Sequence[str] | None = None) -> int:
    """The sprint as a program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.sprint", description=__doc__)
    parser.add_argument("--config", type=Path, help="settings, as TOML")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--resume", metavar="PATH|latest", help="go on from a checkpoint")
    options = parser.parse_args(arguments)
    try:
        result = run_sprint(load_config(SprintConfig, options.config, options.set), options.resume)
    except GaelpError as error:
        sys.stderr.write(f"gaelp: {error}\n")
        return 2
    return 0 if result is not None else _INTERRUPTED


def _find_checkpoint(folders: _Folders, resume: str | None) -> Path | None:
    if resume is None:
        return None
    return find_latest_checkpoint(folders.checkpoints) if resume == "latest" else Path(resume)


def _clear(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        path.unlink()


def _train(
    config: SprintConfig,
    folders: _Folders,
    run: _Run,
    checkpoint: Path | None,
    validator: Validator,
    tracker: Tracker,
    console: Console,
) -> MlpNetwork | None:
    """Trains to the end; None if interrupted, with a checkpoint saved."""
    start_ray()
    try:
        training = make_training_config(config)
        algorithm = make_algorithm_config(training, ENV_NAME, make_env_creator(config)).build_algo()
        if not isinstance(algorithm, FastSAC):
            msg = f"{type(algorithm).__name__} was built where FastSAC was expected"
            raise CheckpointError(msg)
        if checkpoint:
            algorithm.load_training(checkpoint)
            console.print(f"resumed at {algorithm.episodes:,} episodes from {checkpoint}")
        return _Loop(config, folders, run, algorithm, validator, tracker, console).run()
    finally:
        ray.shutdown()


def start_ray() -> None:
    """A local Ray for this process, or the cluster that ``RAY_ADDRESS`` names."""
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
        return
    ray.init(
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        logging_level="ERROR",
    )


class _Loop:
    """Training with validations, snapshots, checkpoints and progress."""

    def __init__(
        self,
        config: SprintConfig,
        folders: _Folders,
        run: _Run,
        algorithm: FastSAC,
        validator: Validator,
        tracker: Tracker,
        console: Console,
    ) -> None:
        self._config, self._folders, self._state = config, folders, run
        self._algorithm, self._validator, self._tracker, self._console = algorithm, validator, tracker, console
        every = config.training
        self._next_checkpoint = algorithm.episodes + every.checkpoint_every_episodes
        self._next_validation = algorithm.episodes + every.validate_every_episodes
        self._note = ""

    def run(self) -> MlpNetwork | None:
        """Trains to the last episode; None if interrupted."""
        episodes = self._config.training.episodes
        if not self._state.curve:
            self._validate()
        with WorkProgress(self._console, "training", episodes) as progress:
            progress.update(self._algorithm.episodes, self._note)
            try:
                while self._algorithm.episodes < episodes:
                    self._step()
                    progress.update(self._algorithm.episodes, self._note)
            except KeyboardInterrupt:
                self._save()
                self._console.print("interrupted; everything is saved. Go on with: gaelp sprint --resume latest")
                return None
        if not self._state.curve or self._state.curve[-1]["episodes"] < self._algorithm.episodes:
            self._validate()
        self._save()
        return self._extract()

    def _step(self) -> None:
        before = self._algorithm.env_steps
        result = self._algorithm.train()
        metrics = collect_training_metrics(result)
        seconds = max(metrics.get("time/iteration_s", 0.0), 1e-9)
        metrics["time/env_steps_per_s"] = (self._algorithm.env_steps - before) / seconds
        metrics["system/peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
        self._tracker.log_metrics(metrics, self._algorithm.episodes)
        self._speed = metrics["time/env_steps_per_s"]
        if self._algorithm.episodes >= self._next_validation:
            self._next_validation += self._config.training.validate_every_episodes
            self._validate()
        if self._algorithm.episodes >= self._next_checkpoint:
            self._next_checkpoint += self._config.training.checkpoint_every_episodes
            self._save()

    def _validate(self) -> None:
        network = self._extract()
        validation = self._validator.validate(ScaledNetwork(network, 1.0))
        episodes = self._algorithm.episodes
        self._tracker.log_metrics(validation.to_metrics(), episodes)
        point = {name: family.fho_iqm for name, family in validation.families.items()}
        self._state.curve.append({"episodes": float(episodes), **point})
        save_snapshot(self._folders.snapshots, episodes, network, self._config.snapshots)
        self._note = f"score {100 * validation.score:+.2f} points vs the reference controller (validation)"
        self._console.print(f"{episodes:>9,} episodes: {self._note}")

    def _save(self) -> None:
        path = self._algorithm.save_training(self._folders.checkpoints)
        self._state.save(self._folders.state)
        self._tracker.set_tags({"checkpoint": path.name})

    def _extract(self) -> MlpNetwork:
        layers = extract_actor_weights(self._algorithm)
        return MlpNetwork(tuple(weight for weight, _ in layers), tuple(bias for _, bias in layers))


def _choose(
    config: SprintConfig, folders: _Folders, network: MlpNetwork, validator: Validator, console: Console
) -> Candidate:
    snapshots = load_snapshots(folders.snapshots, network.layer_sizes)
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
    folders: _Folders,
    run: _Run,
    candidate: Candidate,
    validator: Validator,
    tracker: Tracker,
    console: Console,
) -> SprintResult:
    """Exports, judges on test worlds, registers, reports."""
    export_policy(folders.policy, config, candidate, tracker.run_id)
    policy = make_policy_planner("policy", load_policy(folders.policy))
    comparators = [make_comparator_planner(name) for name in COMPARATORS]
    planners = [policy, *comparators, resolve_planner(TRUTH_INFORMED)]
    judgement = evaluate_families(planners, config.evaluation, set(COMPARATORS), console)
    verdict = compute_claim_verdict("policy", judgement.comparisons)
    _log_scores(judgement, tracker)
    meta = make_results_meta()
    report = EvaluationReport(
        judgement.comparisons, meta, verdict, judgement.volume, _make_curve(config, run, validator.reference_fho)
    )
    report_path = write_report(folders.report, report)
    results_path = folders.report / "results.json"
    write_json(results_path, judgement.comparisons, meta)
    for path in sorted(folders.report.iterdir()):
        tracker.log_artifact(path, "report")
    result = settle_champion(config, folders.policy, candidate, judgement, verdict, tracker, report_path)
    _print_summary(console, result, results_path)
    return result


def _log_scores(judgement: Judgement, tracker: Tracker) -> None:
    metrics: dict[str, float] = {}
    for comparison in judgement.comparisons:
        summary = comparison.find("policy")
        metrics[f"test/{comparison.family}/fho_iqm"] = summary.fho_iqm
        if summary.paired is not None:
            metrics[f"test/{comparison.family}/difference_to_best_comparator"] = summary.paired.difference
    tracker.log_metrics(metrics, 0)


def _make_curve(config: SprintConfig, run: _Run, reference_fho: Mapping[str, float]) -> LearningCurve:
    family = config.families[0]
    return LearningCurve(
        family=family,
        episodes=np.array([int(point["episodes"]) for point in run.curve], dtype=np.int64),
        fho=np.array([[point[family] for point in run.curve]]),
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

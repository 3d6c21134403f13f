"""``gaelp sweep``: search settings by many short runs, look at the winner again, write its config.

    python -m experiments.sweep [--config FILE] [--set KEY=VALUE ...] [--resume]

does the same as a plain program, for ``ray job submit``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import ray
from rich.console import Console
from scipy.stats import qmc

from experiments.progress import WorkProgress, make_console
from experiments.sprint import start_ray
from experiments.sweep_record import SweepObserver, SweepRecord
from experiments.sweep_report import Confirmation, SweepResult, compute_confirmation, write_sweep_report
from experiments.sweep_trial import TrialFactory, make_trial_config
from experiments.validation import compute_baseline
from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.sweep import Dimension, Setting, SweepConfig, load_sweep_config
from gaelp_rl.errors import CheckpointError, ConfigError, GaelpError, ResourceError
from gaelp_rl.tracking import Tracker, make_environment_tags, resume_run, start_run
from gaelp_rl.training.schedulers import Range
from gaelp_rl.training.tuning import TrialOutcome, TrialPlan, TrialSpec, check_is_ours, run_trials

__all__ = ["SETTINGS_FILE", "draw_trials", "find_default", "load_resumable_config", "main", "rank_trials", "run_sweep"]

SETTINGS_FILE = "sweep.toml"
"""What a sweep was started with, in its folder."""

_PROJECT = Path(__file__).resolve().parents[1]
_CONFIGS = Path(__file__).parent / "configs"
_FRESH_SEED = 1_000_000
_INTERRUPTED = 130


def run_sweep(config: SweepConfig, *, resume: bool = False) -> SweepResult:
    """Runs a sweep from its first trial, or from where it was, to its report.

    Args:
        config: all settings.
        resume: go on in ``config.out``.

    Returns:
        The ranking, the winner and whether it is better than the default.

    Raises:
        KeyboardInterrupt: it was interrupted; ``resume`` goes on.
        ResourceError: the folder cannot be used.
        CheckpointError: there is nothing to resume.
        ConfigError: a trial's settings cannot be used.
    """
    console, specs = make_console(), draw_trials(config)
    for spec in specs:
        make_trial_config(config, spec.settings, spec.seeds[0])
    record_path = config.out / "run.json"
    if resume:
        check_is_ours(config.out)
        record = SweepRecord.load(record_path)
        tracker = resume_run(config.sprint.tracking, record.run_id)
    else:
        _start_folder(config, console)
        tracker = start_run(config.sprint.tracking, config.out.name, make_environment_tags(_PROJECT))
        record = SweepRecord(tracker.run_id)
        record.save(record_path)
    with tracker:
        tracker.log_params(config.model_dump(mode="json", exclude={"sprint": {"trust", "tracking"}}))
        sweep = _Sweep(config, tracker, record, record_path, console)
        start_ray()
        try:
            outcomes = sweep.run("trial", specs, config, resume=resume)
            ranking = rank_trials(outcomes)
            confirmation = sweep.confirm(ranking[0], specs[0], resume=resume)
        finally:
            ray.shutdown()
        return write_sweep_report(config, ranking, confirmation, tracker, console)


def draw_trials(config: SweepConfig) -> list[TrialSpec]:
    """The trials: number 0 is the default, the others fill the space evenly (scrambled Sobol points).

    Args:
        config: of the sweep.

    Returns:
        As many as asked for, all with the same training seeds.
    """
    names = list(config.space)
    points = qmc.Sobol(len(names), seed=config.seed).random(1 << (config.trials - 1).bit_length())
    seeds = tuple(range(config.seed, config.seed + config.training_seeds))
    default = {name: find_default(config.sprint, name) for name in names}
    drawn = [
        {name: config.space[name].compute_setting(float(point[i])) for i, name in enumerate(names)}
        for point in points[: config.trials - 1]
    ]
    return [TrialSpec(number, settings, seeds) for number, settings in enumerate([default, *drawn])]


def find_default(sprint: SprintConfig, path: str) -> Setting:
    """The setting at a dotted path."""
    setting = sprint.model_dump()
    for key in path.split("."):
        setting = setting[key]
    return setting  # type: ignore[return-value]


def rank_trials(outcomes: Sequence[TrialOutcome]) -> list[TrialOutcome]:
    """The trials that went furthest come first, the best score first among them; failed ones come last.

    Scores at different rungs are not comparable: a trial that was stopped early never wins.

    Raises:
        ResourceError: no trial has a score.
    """

    def key(outcome: TrialOutcome) -> tuple[bool, int, float, int]:
        metrics = outcome.metrics
        is_scored = bool(metrics) and not outcome.is_failed and metrics["score"] == metrics["score"]
        return is_scored, metrics.get("episodes", 0), metrics["score"] if is_scored else 0.0, -outcome.number

    ranking = sorted(outcomes, key=key, reverse=True)
    if not key(ranking[0])[0]:
        raise ResourceError("every trial failed: see error.txt in the trials' folders, then start again")
    return ranking


def load_resumable_config(
    path: Path | None, overrides: Sequence[str], scheduler: Literal["asha", "pbt"], out: Path | None, *, resume: bool
) -> SweepConfig:
    """The settings of a sweep; a resumed one has those that it was started with.

    Args:
        path: a TOML file; None means the one that the project ships for the scheduler.
        overrides: ``dotted.key=value`` strings; a resumed sweep takes none.
        scheduler: which kind of sweep.
        out: the sweep's folder; None for the configured one.
        resume: whether to go on in it.

    Raises:
        ConfigError: the settings cannot be used.
        CheckpointError: there is no sweep to resume, or it is asked to change.
    """
    place = [] if out is None else [f"out={json.dumps(str(out))}"]
    if not resume:
        shipped = _CONFIGS / ("sweep-pbt.toml" if scheduler == "pbt" else "sweep.toml")
        kind = ['scheduler="pbt"'] if scheduler == "pbt" else []
        return load_sweep_config(path or shipped, [*kind, *overrides, *place])
    if overrides or path:
        raise CheckpointError(
            "a resumed sweep keeps its settings: leave out --config, --set and --trials, or start anew"
        )
    saved = (out or SweepConfig.model_fields["out"].default) / SETTINGS_FILE
    if not saved.is_file():
        raise CheckpointError(f"no sweep in {saved.parent}: {saved.name} is missing; start it without --resume")
    return load_config(SweepConfig, saved, [f"out={json.dumps(str(saved.parent))}"])


class _Sweep:
    """What the search and the second look share."""

    def __init__(
        self, config: SweepConfig, tracker: Tracker, record: SweepRecord, record_path: Path, console: Console
    ) -> None:
        self._config, self._tracker, self._record, self._path = config, tracker, record, record_path
        self._console = console

    def run(
        self, name: Literal["trial", "confirm"], specs: Sequence[TrialSpec], config: SweepConfig, *, resume: bool
    ) -> list[TrialOutcome]:
        """Runs trials under a name; its folder is beside the others."""
        self._console.print(f"reference controller in {config.sprint.validation_worlds} validation worlds per family")
        is_second_look = name == "confirm"
        factory = TrialFactory(config, compute_baseline(config.sprint), keeps_worlds=is_second_look)
        rungs = config.episodes // config.rung_episodes
        plan = TrialPlan(
            episodes=config.episodes,
            scheduler="all" if is_second_look else config.scheduler,
            grace_episodes=config.grace_episodes,
            reduction_factor=config.reduction_factor,
            mutations={path: _make_range(one) for path, one in config.space.items()}
            if config.scheduler == "pbt"
            else None,
            cpus=config.cpus_per_trial,
            max_failures=config.max_failures,
        )
        title = "second look" if is_second_look else f"{len(specs)} trials"
        with WorkProgress(self._console, title, len(specs) * rungs) as progress:
            observer = SweepObserver(
                config.sprint.tracking,
                self._tracker,
                self._record,
                self._path,
                progress,
                rungs,
                config.rung_episodes,
                name,
            )
            return run_trials(config.out / name, factory, specs, plan, observer, resume=resume)

    def confirm(self, winner: TrialOutcome, default: TrialSpec, *, resume: bool) -> Confirmation | None:
        """Winner and default again, on fresh seeds and in other worlds; None where there is nothing to ask."""
        config = self._config
        if config.confirm_seeds == 0 or dict(winner.settings) == dict(default.settings):
            return None
        sprint = config.sprint.model_copy(
            update={"validation_seed": config.confirm_validation_seed, "validation_worlds": config.confirm_worlds}
        )
        fresh = config.model_copy(update={"sprint": sprint, "rung_episodes": config.episodes})
        seeds = range(_FRESH_SEED + config.seed, _FRESH_SEED + config.seed + config.confirm_seeds)
        pairs = [(settings, seed) for seed in seeds for settings in (winner.settings, default.settings)]
        specs = [TrialSpec(number, settings, (seed,)) for number, (settings, seed) in enumerate(pairs)]
        outcomes = self.run("confirm", specs, fresh, resume=resume)
        return compute_confirmation(outcomes[0::2], outcomes[1::2], config)


def _start_folder(config: SweepConfig, console: Console) -> None:
    """Makes the folder, removes an earlier sweep's trials and writes the settings."""
    try:
        for name in ("trial", "confirm"):
            if (config.out / name).exists():
                console.print(f"a new sweep in {config.out}: it replaces the one before")
                shutil.rmtree(config.out / name)
        config.out.mkdir(parents=True, exist_ok=True)
        trust = config.sprint.trust.model_copy(update={"signing_key": None})
        sprint = config.sprint.model_copy(update={"trust": trust})
        text = dump_config(config.model_copy(update={"sprint": sprint}))
        (config.out / SETTINGS_FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"sweep folder {config.out} cannot be used ({error}): choose another with --out"
        raise ResourceError(msg) from error


def _make_range(dimension: Dimension) -> Range:
    bounds = dimension.uniform or dimension.log_uniform
    if bounds is None:
        raise ConfigError("population based training searches uniform and log_uniform ranges only")
    return Range(bounds[0], bounds[1], dimension.is_logarithmic)


def main(arguments: Sequence[str] | None = None) -> int:
    """The sweep as a program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.sweep", description=__doc__)
    parser.add_argument("--config", type=Path, help="settings, as TOML")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--pbt", action="store_true", help="population based training")
    parser.add_argument("--out", type=Path, help="the sweep's folder")
    parser.add_argument("--resume", action="store_true", help="go on where it was")
    given = parser.parse_args(arguments)
    try:
        scheduler: Literal["asha", "pbt"] = "pbt" if given.pbt else "asha"
        config = load_resumable_config(given.config, given.set, scheduler, given.out, resume=given.resume)
        run_sweep(config, resume=given.resume)
    except GaelpError as error:
        sys.stderr.write(f"gaelp: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; go on with: gaelp sweep --resume\n")
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

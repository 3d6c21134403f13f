"""Ray Tune: many trials at once, bad ones stopped or overwritten early, all of it resumable after a kill.

What a trial does is behind ``TrialWork``. Tune keeps its own state as pickles, so ``run_trials`` resumes only from a
folder that belongs to this user and that nobody else may write to; trials save theirs without pickle.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from ray import tune

from gaelp_rl.errors import CheckpointError, ResourceError
from gaelp_rl.training.schedulers import Range, make_asha, make_pbt

__all__ = [
    "EPISODES",
    "SCORE",
    "TrialObserver",
    "TrialOutcome",
    "TrialPlan",
    "TrialSpec",
    "TrialWork",
    "WorkFactory",
    "check_is_ours",
    "run_trials",
]

SCORE, EPISODES = "score", "episodes"
"""What a trial must report: what is maximised, and what rungs are counted in."""

_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "2",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "4",
    "RAY_AIR_NEW_OUTPUT": "0",
}

_KEPT = {"all": 1, "asha": 1, "pbt": 4}
"""Checkpoints of a trial; others may still copy an older one of a population."""


class TrialWork(Protocol):
    """What one trial does, rung by rung, in a process of its own."""

    def advance(self) -> dict[str, Any]:
        """Trains to the next rung; returns what is reported, ``score`` and ``episodes`` among it."""

    def save(self, folder: Path) -> None:
        """Writes everything that a continued trial needs, without pickle."""

    def load(self, folder: Path) -> None:
        """Continues from ``save``."""

    def close(self) -> None:
        """Frees what it holds."""


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One trial to run.

    Attributes:
        number: its identity in tables and records, 0 for the first.
        settings: values by dotted path.
        seeds: training seeds.
    """

    number: int
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]


WorkFactory = Callable[[Mapping[str, Any], tuple[int, ...]], TrialWork]
"""Makes the work of a trial from its settings and seeds, in the trial's process."""


class TrialObserver(Protocol):
    """Told in the driver what happens to trials."""

    def note_result(self, number: int, settings: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
        """A trial reached a rung."""

    def note_end(self, number: int, *, is_failed: bool) -> None:
        """A trial is over: done, stopped early, or failed for good."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """How trials share the time.

    Attributes:
        episodes: at which a trial is done.
        scheduler: ``asha`` stops bad trials, ``pbt`` lets them copy good ones, ``all`` runs every one to its end.
        grace_episodes: before which no trial is stopped; between two exploitations with ``pbt``.
        reduction_factor: ``asha``: one of so many trials passes each rung.
        mutations: ``pbt``: ranges of what it may change, by dotted path.
        cpus: of one trial.
        max_failures: times that a crashed trial goes on from its checkpoint.
    """

    episodes: int
    scheduler: Literal["asha", "pbt", "all"]
    grace_episodes: int = 1
    reduction_factor: float = 2.0
    mutations: Mapping[str, Range] | None = None
    cpus: float = 1.0
    max_failures: int = 2


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """Where a trial ended.

    Attributes:
        number: its identity.
        settings: as they were at the end (``pbt`` changes them).
        metrics: its last report; empty if it never made one.
        is_failed: whether it crashed more often than allowed.
    """

    number: int
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    is_failed: bool


def run_trials(
    folder: Path,
    factory: WorkFactory,
    specs: Sequence[TrialSpec],
    plan: TrialPlan,
    observer: TrialObserver,
    *,
    resume: bool = False,
) -> list[TrialOutcome]:
    """Runs trials in a Ray session that is already up.

    Args:
        folder: where Tune keeps its state; its name names the experiment.
        factory: makes each trial's work; must pickle.
        specs: the trials, in the order of their start.
        plan: how they share the time.
        observer: told of results, in this process.
        resume: go on in ``folder`` if it holds anything to go on from; ``specs`` and ``plan`` are then its own.

    Returns:
        One outcome per trial, by number.

    Raises:
        KeyboardInterrupt: it was interrupted; ``resume`` goes on.
        ResourceError: the folder to resume from is not ours alone.
        CheckpointError: its state cannot be read.
    """
    for name, setting in _ENVIRONMENT.items():
        os.environ.setdefault(name, setting)
    folder = folder.resolve()
    trainable = tune.with_resources(tune.with_parameters(_TuneTrial, factory=factory), {"cpu": plan.cpus})
    _OBSERVERS[str(folder)] = observer
    try:
        tuner = _restore(folder, trainable) if resume else None
        results = (tuner or _make_tuner(folder, trainable, specs, plan)).fit()
    finally:
        del _OBSERVERS[str(folder)]
    trials = results._experiment_analysis.trials
    if len(trials) < len(specs) or any(trial.status not in {"TERMINATED", "ERROR"} for trial in trials):
        raise KeyboardInterrupt
    outcomes = [
        TrialOutcome(
            number=_read_number(trial),
            settings=trial.config["trial"]["settings"],
            metrics=trial.last_result if SCORE in trial.last_result else {},
            is_failed=trial.status == "ERROR",
        )
        for trial in trials
    ]
    return sorted(outcomes, key=lambda outcome: outcome.number)


def check_is_ours(folder: Path) -> None:
    """Refuses a folder whose pickles, which Tune also puts inside JSON, somebody else could have written.

    Raises:
        ResourceError: it, or a pickle in it, belongs to another user or may be written by others.
    """
    for path in (folder, *folder.rglob("*.pkl"), *folder.rglob("*state-*.json")):
        status = path.lstat()
        if status.st_uid != os.getuid() or path.is_symlink() or status.st_mode & stat.S_IWOTH:
            msg = f"{path} belongs to user {status.st_uid}, is a link, or may be written by others (mode "
            msg += f"{status.st_mode & 0o777:o}): a sweep resumes from pickles, which run code. Take it only if you "
            raise ResourceError(f"{msg}know where it comes from: copy it, chmod o-w, or start a new sweep")


def _restore(folder: Path, trainable: Any) -> tune.Tuner | None:
    """The interrupted experiment; None where it was killed before it had a state."""
    if not folder.is_dir():
        return None
    check_is_ours(folder)
    if not tune.Tuner.can_restore(str(folder)) or not list(folder.glob("experiment_state-*.json")):
        return None
    try:
        return tune.Tuner.restore(str(folder), trainable=trainable, resume_unfinished=True, resume_errored=True)
    except Exception as error:
        msg = f"the sweep in {folder} cannot be resumed ({error}): start it anew without --resume"
        raise CheckpointError(msg) from error


def _make_tuner(folder: Path, trainable: Any, specs: Sequence[TrialSpec], plan: TrialPlan) -> tune.Tuner:
    scheduler = None
    if plan.scheduler == "asha":
        scheduler = make_asha(folder / "rungs.jsonl", plan.episodes, plan.grace_episodes, plan.reduction_factor)
    elif plan.scheduler == "pbt":
        scheduler = make_pbt(plan.mutations or {}, plan.grace_episodes)
    return tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search([asdict(spec) for spec in specs])},
        tune_config=tune.TuneConfig(
            metric=SCORE,
            mode="max",
            scheduler=scheduler,
            trial_dirname_creator=_name_trial,
            trial_name_creator=_name_trial,
        ),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            stop={EPISODES: plan.episodes},
            failure_config=tune.FailureConfig(max_failures=plan.max_failures),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=_KEPT[plan.scheduler]),
            callbacks=[_Relay(str(folder))],
            verbose=0,
        ),
    )


def _name_trial(trial: Any) -> str:
    return f"trial-{trial.config['trial']['number']:03d}-{trial.trial_id}"


def _read_number(trial: Any) -> int:
    """From the name: a trial that copies another takes over its config, number included."""
    return int(trial.custom_trial_name.split("-")[1])


class _TuneTrial(tune.Trainable):
    """``TrialWork`` as Tune sees it."""

    def setup(self, config: dict[str, Any], factory: WorkFactory | None = None) -> None:
        if factory is None:
            raise CheckpointError("a trial was started without its factory: start the sweep through run_trials")
        own = config["trial"]
        self._work = factory(own["settings"], tuple(own["seeds"]))

    def step(self) -> dict[str, Any]:
        return self._work.advance()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        self._work.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: str) -> None:
        self._work.load(Path(checkpoint))

    def cleanup(self) -> None:
        self._work.close()


_OBSERVERS: dict[str, TrialObserver] = {}
"""By experiment folder: Tune pickles callbacks, and an observer holds what cannot be pickled."""


class _Relay(tune.Callback):
    """Passes events on to the observer of this process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        del iteration, trials, info
        _OBSERVERS[self._folder].note_result(_read_number(trial), trial.config["trial"]["settings"], result)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        del iteration, trials, info
        _OBSERVERS[self._folder].note_end(_read_number(trial), is_failed=False)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        del iteration, trials, info
        if trial.status == "ERROR":
            _OBSERVERS[self._folder].note_end(_read_number(trial), is_failed=True)

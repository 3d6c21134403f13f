"""``gaelp bootstrap``: from an account's history to a market, transitions, and weights to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console
from threadpoolctl import threadpool_limits

from experiments.bootstrap_log import list_logged_plans
from experiments.bootstrap_market import estimate_action_zero, privileged_size, roll_out_market
from experiments.bootstrap_start import compute_fit
from experiments.datasets import compute_family_digest
from experiments.planners import find_reference_params, load_comparators, load_reference_params, make_controller_spec
from experiments.progress import WorkProgress, make_console
from gaelp_rl.bootstrap.account_log import AccountLife, make_account_lives
from gaelp_rl.bootstrap.artefact import BootstrapArtefact, save_bootstrap
from gaelp_rl.bootstrap.transitions import ReplayedHours, TransitionDays, join_days, make_transition_days, replay_log
from gaelp_rl.config.bootstrap import BootstrapConfig
from gaelp_rl.config.loading import dump_config
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.control.market_model import make_channel_priors, make_market_model
from gaelp_rl.control.reference import ReferenceController
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.hourly_report import HourlyReport
from gaelp_rl.domain.ledger import HOURS_PER_DAY, ReportLedger
from gaelp_rl.domain.platform_rules import make_reporting_profile
from gaelp_rl.errors import ConfigError
from gaelp_rl.features.actions import ACTION_NAMES, ActionReach
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.features.residual import ResidualLoop
from gaelp_rl.policy import ActionDecode, MlpNetwork, NetworkExport, Provenance, sample_golden_observations, save_policy
from gaelp_rl.response.market_fit import fit_market
from gaelp_rl.response.observations import PlannedHour, make_account_observations
from gaelp_rl.response.report_files import load_plans, load_reports
from gaelp_rl.tracking import RecordedDataset, load_git_state, make_environment_tags, start_run
from gaelp_rl.training.export import read_actor_weights
from gaelp_rl.training.offline.iql import OfflineResult, OfflineSettings, train_offline

__all__ = ["make_log_days", "run_bootstrap"]

_PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class _LogDays:
    parts: list[TransitionDays]
    counts: dict[str, float]


def run_bootstrap(
    reports: Path,
    plans: Path | None,
    bootstrap: BootstrapConfig,
    sprint: SprintConfig,
    console: Console | None = None,
) -> str:
    """Writes a bootstrap artefact, the offline policy beside it, and an MLflow run that holds the artefact.

    Args:
        reports: hourly report rows, CSV or Parquet.
        plans: bids and budgets in force, likewise. A log without them has no actions: then all transitions
            come from the market that its reports were calibrated to.
        bootstrap: settings of the bootstrap; its ``out`` gets ``artefact``, ``policy`` and ``market.toml``.
        sprint: of the runs that will start from it: reach, rewards and networks; and where runs are recorded.
        console: shows progress.

    Returns:
        The sha256 of the artefact's manifest.

    Raises:
        ConfigError: there are neither plans nor rollouts to learn from.
        DataError: a file cannot be read or holds too little.
        ArtifactError: the disk refuses.
        ResourceError: the tracking store refuses.
    """
    if plans is None and not bootstrap.rollout_worlds:
        msg = "without plans all transitions come from rollouts, and rollout_worlds is 0: raise it, or pass --plans"
        raise ConfigError(msg)
    show, zone = console or make_console(), ZoneInfo(bootstrap.time_zone)
    rows, planned = load_reports(reports).accepted, load_plans(plans) if plans else {}
    with show.status("calibrating"), threadpool_limits(1):
        family = fit_market(make_account_observations(rows, planned, zone), bootstrap.name).family
    if plans:
        lives = make_account_lives(rows, zone, make_reporting_profile(), family.days)
        logged = make_log_days(lives, planned, family, bootstrap, sprint)
    else:
        show.print("no plans, so no logged actions: all transitions come from the calibrated market")
        logged = _LogDays([], {"log_days": 0.0})
    days, counts = _add_rollouts(logged, family, bootstrap, sprint, show)
    training = sprint.training.model_copy(update={"privileged_features": privileged_size(sprint)})
    result = _train(days, training, bootstrap, show)
    artefact = BootstrapArtefact(
        compute_fit(sprint), counts, dump_config(family), days, result.td_errors, result.weights
    )
    bootstrap.out.mkdir(parents=True, exist_ok=True)
    sha256 = save_bootstrap(bootstrap.out / "artefact", artefact)
    _export(bootstrap.out / "policy", result, sprint)
    (bootstrap.out / "market.toml").write_text(artefact.market, encoding="utf-8")
    reference = _record(rows, family, artefact, sha256, bootstrap, sprint)
    for name, count in counts.items():
        show.print(f"{name.replace('_', ' '):>24}: {count:,.4g}")
    show.print(
        f"artefact: {bootstrap.out / 'artefact'} ({sha256[:12]}), {reference}\npolicy: {bootstrap.out / 'policy'}"
    )
    show.print(f"Next: gaelp sprint --bootstrap {bootstrap.out / 'artefact'}")
    return sha256


def make_log_days(
    lives: Sequence[AccountLife],
    planned: Mapping[tuple[Channel, datetime], PlannedHour],
    family: FamilyConfig,
    bootstrap: BootstrapConfig,
    sprint: SprintConfig,
) -> _LogDays:
    """The log's matured days as transitions, with counts of what was left out or guessed."""
    zone, model = ZoneInfo(bootstrap.time_zone), make_market_model(family)
    params = find_reference_params(load_reference_params(), family)
    delay = family.delay.scale(family.delay_scale)
    parts, edges, dropped, paused = [], [], 0, 0
    for life in lives:
        plans, without = list_logged_plans(planned, life.first_day, len(life.spend), zone, model)
        controller = ReferenceController(model, family.objective, params)
        loop = ResidualLoop(controller, make_channel_priors(family), ActionReach(sprint.max_log_bid, sprint.max_logit))
        hours = replay_log(life.reports, plans, loop, ReportLedger(1, make_reporting_profile(), delay))
        maturity = np.asarray(delay.compute_cdf(np.maximum(life.age_hours, 0.0)))
        days = _price(life, hours, maturity, family, bootstrap, sprint)
        is_mature = maturity.reshape(-1, HOURS_PER_DAY).min(axis=1) >= bootstrap.mature_share
        parts.append(_select(days, is_mature))
        edges.append(hours.edge_share)
        dropped, paused = dropped + int((~is_mature).sum()), paused + without
    counts = {
        "log_days": float(sum(part.num_days for part in parts)),
        "immature_days_dropped": float(dropped),
        "paused_channel_hours": float(paused),
        "clipped_action_share": float(np.mean(edges)),
    }
    return _LogDays(parts, counts)


def _add_rollouts(
    logged: _LogDays, family: FamilyConfig, bootstrap: BootstrapConfig, sprint: SprintConfig, show: Console
) -> tuple[TransitionDays, dict[str, float]]:
    """All days to learn from, and the counts."""
    parts = list(logged.parts)
    if bootstrap.rollout_worlds:
        with show.status("rolling out the calibrated market"):
            parts.append(roll_out_market(family, sprint, bootstrap))
    days = join_days(parts)
    rolled_out = float(days.num_days) - logged.counts["log_days"]
    return days, {**logged.counts, "rollout_days": rolled_out, "transitions": float(days.rewards.size)}


def _record(
    rows: Sequence[HourlyReport],
    family: FamilyConfig,
    artefact: BootstrapArtefact,
    sha256: str,
    bootstrap: BootstrapConfig,
    sprint: SprintConfig,
) -> str:
    """Records the bootstrap as an MLflow run; returns the reference by which a sprint finds its artefact."""
    hours = [row.hour.isoformat() for row in rows]
    dataset = RecordedDataset(
        name="account-log",
        context="training",
        source_type="hourly-reports",
        source={"account": rows[0].account, "first_hour": min(hours), "last_hour": max(hours), "sha256": sha256},
        profile={"rows": len(rows), **artefact.counts},
    )
    with start_run(sprint.tracking, "bootstrap", make_environment_tags(_PROJECT)) as tracker:
        tracker.set_tags({"bootstrap": sha256, "family_sha256": compute_family_digest(family)})
        tracker.log_params(bootstrap.model_dump(mode="json", exclude={"out"}))
        tracker.log_datasets([dataset])
        tracker.log_metrics({f"bootstrap/{name}": count for name, count in artefact.counts.items()}, 0)
        tracker.log_artifact(bootstrap.out / "artefact", "bootstrap")
        return f"runs:/{tracker.run_id}/bootstrap"


def _price(
    life: AccountLife,
    hours: ReplayedHours,
    maturity: np.ndarray,
    family: FamilyConfig,
    bootstrap: BootstrapConfig,
    sprint: SprintConfig,
) -> TransitionDays:
    zero = estimate_action_zero(family, hours.reference_plans, hours.prices, bootstrap.baseline_worlds, bootstrap.seed)
    return make_transition_days(
        hours,
        conversions=life.conversions / np.maximum(maturity, bootstrap.mature_share),
        spend=life.spend,
        baseline=zero.reward,
        cpa_target=family.objective.cpa_target,
        scale=zero.scale,
        privileged=privileged_size(sprint),
        life_hours=family.days * HOURS_PER_DAY,
    )


def _select(days: TransitionDays, kept: np.ndarray) -> TransitionDays:
    return TransitionDays(
        days.observations[:, kept],
        days.actions[:, kept],
        days.rewards[:, kept],
        days.costs[:, kept],
        days.terminated[kept],
    )


def _train(days: TransitionDays, training: TrainingConfig, bootstrap: BootstrapConfig, show: Console) -> OfflineResult:
    settings = OfflineSettings(
        is_cloning=bootstrap.algorithm == "bc",
        updates=bootstrap.updates,
        expectile=bootstrap.expectile,
        inverse_temperature=bootstrap.inverse_temperature,
        seed=bootstrap.seed,
    )
    with WorkProgress(show, "offline training", bootstrap.updates) as progress:
        return train_offline(days, training, settings, progress.update)


def _export(path: Path, result: OfflineResult, sprint: SprintConfig) -> None:
    layers = read_actor_weights(result.module)
    save_policy(
        path,
        controller=make_controller_spec("reference", load_comparators()),
        provenance=Provenance(
            run_id="bootstrap",
            git_commit=load_git_state(_PROJECT).label,
            created_at=datetime.now(UTC).replace(microsecond=0),
        ),
        network=NetworkExport(
            network=MlpNetwork(tuple(weight for weight, _ in layers), tuple(bias for _, bias in layers)),
            schema=OBSERVATION_SCHEMA,
            action_names=ACTION_NAMES,
            decode=ActionDecode(max_log_bid=sprint.max_log_bid, max_logit=sprint.max_logit),
            residual_scale=1.0,
            golden_observation=sample_golden_observations(OBSERVATION_SCHEMA, np.random.default_rng(0)),
        ),
    )

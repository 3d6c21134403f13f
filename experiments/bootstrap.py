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
from experiments.planners import find_reference_params, load_comparators, load_reference_params, make_controller_spec
from experiments.progress import WorkProgress, make_console
from gaelp_rl.bootstrap.account_log import AccountLife, make_account_lives
from gaelp_rl.bootstrap.artefact import BootstrapArtefact, BootstrapFit, check_fit, load_bootstrap, save_bootstrap
from gaelp_rl.bootstrap.transitions import ReplayedHours, TransitionDays, join_days, make_transition_days, replay_log
from gaelp_rl.config.bootstrap import BootstrapConfig
from gaelp_rl.config.loading import dump_config
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.training import TrainingConfig
from gaelp_rl.control.market_model import make_channel_priors, make_market_model
from gaelp_rl.control.reference import ReferenceController
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.ledger import HOURS_PER_DAY, ReportLedger
from gaelp_rl.domain.platform_rules import make_reporting_profile
from gaelp_rl.features.actions import ACTION_NAMES, ActionReach
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.features.residual import ResidualLoop
from gaelp_rl.policy import ActionDecode, MlpNetwork, NetworkExport, Provenance, sample_golden_observations, save_policy
from gaelp_rl.response.market_fit import fit_market
from gaelp_rl.response.observations import PlannedHour, make_account_observations
from gaelp_rl.response.report_files import load_plans, load_reports
from gaelp_rl.tracking import load_git_state
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.export import read_actor_weights
from gaelp_rl.training.offline.iql import OfflineResult, OfflineSettings, train_offline
from gaelp_rl.training.offline.warm_start import start_from_bootstrap

__all__ = ["apply_bootstrap", "compute_fit", "load_fitting_bootstrap", "make_log_days", "run_bootstrap"]

_PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class _LogDays:
    days: TransitionDays
    counts: dict[str, float]


def run_bootstrap(
    reports: Path,
    plans: Path,
    bootstrap: BootstrapConfig,
    sprint: SprintConfig,
    console: Console | None = None,
) -> str:
    """Writes a bootstrap artefact, and the offline policy beside it.

    Args:
        reports: hourly report rows, CSV or Parquet.
        plans: bids and budgets in force, likewise; a log without them has no actions.
        bootstrap: settings of the bootstrap; its ``out`` gets ``artefact``, ``policy`` and ``market.toml``.
        sprint: of the runs that will start from it: reach, rewards and networks.
        console: shows progress.

    Returns:
        The sha256 of the artefact's manifest.

    Raises:
        DataError: a file cannot be read or holds too little.
        ArtifactError: the disk refuses.
    """
    show, zone = console or make_console(), ZoneInfo(bootstrap.time_zone)
    rows, planned = load_reports(reports).accepted, load_plans(plans)
    with show.status("calibrating"), threadpool_limits(1):
        observed = make_account_observations(rows, planned, zone)
        family = fit_market(observed, bootstrap.name).family
    lives = make_account_lives(rows, zone, make_reporting_profile(), family.days)
    logged = make_log_days(lives, planned, family, bootstrap, sprint)
    parts, counts = [logged.days], dict(logged.counts)
    if bootstrap.rollout_worlds:
        with show.status("rolling out the calibrated market"):
            parts.append(roll_out_market(family, sprint, bootstrap))
    days = join_days(parts)
    counts |= {"rollout_days": float(days.num_days - logged.days.num_days), "transitions": float(days.rewards.size)}
    training = sprint.training.model_copy(update={"privileged_features": privileged_size(sprint)})
    result = _train(days, training, bootstrap, show)
    artefact = BootstrapArtefact(
        compute_fit(sprint), counts, dump_config(family), days, result.td_errors, result.weights
    )
    bootstrap.out.mkdir(parents=True, exist_ok=True)
    sha256 = save_bootstrap(bootstrap.out / "artefact", artefact)
    _export(bootstrap.out / "policy", result, sprint)
    (bootstrap.out / "market.toml").write_text(artefact.market, encoding="utf-8")
    for name, count in counts.items():
        show.print(f"{name.replace('_', ' '):>24}: {count:,.4g}")
    show.print(f"artefact: {bootstrap.out / 'artefact'} ({sha256[:12]})\npolicy: {bootstrap.out / 'policy'}")
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
    joined = join_days(parts)
    counts = {
        "log_days": float(joined.num_days),
        "immature_days_dropped": float(dropped),
        "paused_channel_hours": float(paused),
        "clipped_action_share": float(np.mean(edges)),
    }
    return _LogDays(joined, counts)


def compute_fit(sprint: SprintConfig) -> BootstrapFit:
    """What a run needs an artefact to have."""
    training = sprint.training
    return BootstrapFit(
        schema=OBSERVATION_SCHEMA.hash,
        privileged_features=privileged_size(sprint),
        hidden_sizes=training.hidden_sizes,
        critic_curvature=training.critic_curvature,
        critic_layer_norm=training.critic_layer_norm,
        max_log_bid=sprint.max_log_bid,
        max_logit=sprint.max_logit,
        gamma=training.gamma,
    )


def load_fitting_bootstrap(sprint: SprintConfig) -> BootstrapArtefact:
    """The artefact that a sprint names, verified.

    Raises:
        ArtifactError: it is missing, damaged, or was made for other settings.
    """
    artefact = load_bootstrap(Path(sprint.bootstrap))
    check_fit(artefact.fit, compute_fit(sprint))
    return artefact


def apply_bootstrap(algorithm: FastSAC, sprint: SprintConfig) -> str:
    """Starts an algorithm from the artefact that the sprint names.

    Returns:
        The sha256 of the artefact's manifest.

    Raises:
        ArtifactError: it is damaged, or was made for other settings.
    """
    artefact = load_fitting_bootstrap(sprint)
    start_from_bootstrap(algorithm, artefact.weights, artefact.days, artefact.td_errors)
    return artefact.sha256


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

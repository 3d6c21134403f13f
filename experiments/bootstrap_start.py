"""What a sprint starts from: an artefact of ``gaelp bootstrap``, found, verified, and put into the algorithm."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from experiments.bootstrap_market import privileged_size
from gaelp_rl.bootstrap.artefact import BootstrapArtefact, BootstrapFit, check_fit, load_bootstrap
from gaelp_rl.config.bootstrap import BootstrapConfig
from gaelp_rl.config.sprint import NO_BOOTSTRAP, SprintConfig
from gaelp_rl.errors import ArtifactError
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.tracking import ModelRegistry, is_reference
from gaelp_rl.training.algorithm import FastSAC
from gaelp_rl.training.offline.warm_start import start_from_bootstrap

__all__ = ["apply_bootstrap", "choose_bootstrap", "compute_fit", "load_fitting_bootstrap"]


def choose_bootstrap(sprint: SprintConfig, console: Console) -> SprintConfig:
    """The settings with what the run will start from: an artefact that was verified, or nothing.

    Where none is named, the one that ``gaelp bootstrap`` leaves in its default folder is taken, if there is
    one that fits: a run that starts from history is the better one (docs/bootstrap.md).

    Raises:
        ArtifactError: the one that is named is missing, damaged, or was made for other settings.
        UnknownReferenceError: it is a reference to a run that means nothing.
    """
    if sprint.bootstrap == NO_BOOTSTRAP:
        return sprint.model_copy(update={"bootstrap": ""})
    if sprint.bootstrap:
        load_fitting_bootstrap(sprint)
        return sprint
    found = BootstrapConfig().out / "artefact"
    if not found.is_dir():
        return sprint
    named = sprint.model_copy(update={"bootstrap": str(found)})
    try:
        load_fitting_bootstrap(named)
    except ArtifactError as error:
        console.print(f"starts without the history in {found}: {error}")
        return sprint
    console.print(f"history found in {found}; --bootstrap none starts without it")
    return named


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
    """The artefact that a sprint names, a folder or ``runs:/RUN_ID/PATH``, verified.

    Raises:
        ArtifactError: it is missing, damaged, or was made for other settings.
        UnknownReferenceError: there is no such run, or it has no such files.
    """
    reference = sprint.bootstrap
    path = ModelRegistry(sprint.tracking).resolve(reference) if is_reference(reference) else Path(reference)
    artefact = load_bootstrap(path)
    check_fit(artefact.fit, compute_fit(sprint))
    return artefact


def apply_bootstrap(algorithm: FastSAC, sprint: SprintConfig) -> str:
    """Starts an algorithm from the artefact that the sprint names.

    Returns:
        The sha256 of the artefact's manifest.

    Raises:
        ArtifactError: it is damaged, or was made for other settings.
        UnknownReferenceError: there is no such run, or it has no such files.
    """
    artefact = load_fitting_bootstrap(sprint)
    start_from_bootstrap(algorithm, artefact.weights, artefact.days, artefact.td_errors)
    return artefact.sha256

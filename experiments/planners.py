"""From a reference to a planner: comparators by name, policies by path or from the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from envs.market.oracle import TruthInformedReference
from gaelp_rl.config.comparators import ComparatorsConfig
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.market import DEFAULT_FAMILY, FAMILIES, FamilyConfig
from gaelp_rl.config.tracking import ArtifactTrustConfig, TrackingConfig
from gaelp_rl.control.market_model import make_channel_priors, make_market_model
from gaelp_rl.control.planner import Planner
from gaelp_rl.control.reference import ReferenceController, ReferenceParams
from gaelp_rl.control.registry import COMPARATORS, make_comparator
from gaelp_rl.errors import ArtifactError, ConfigError, UnknownReferenceError, suggest
from gaelp_rl.features.actions import ActionReach
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.features.residual import ResidualLoop
from gaelp_rl.policy import ControllerSpec, LoadedPolicy, PolicyKind, load_policy, make_artifact_trust
from gaelp_rl.policy.planner import ActionSource, ResidualPlanner

__all__ = [
    "COMPARATORS_FILE",
    "TRUTH_INFORMED",
    "NamedPlanner",
    "ReferenceParamsByFamily",
    "find_reference_params",
    "load_comparators",
    "load_reference_params",
    "make_comparator_planner",
    "make_controller_spec",
    "make_policy_planner",
    "make_residual_planner",
    "resolve_planner",
]

COMPARATORS_FILE = Path(__file__).parent / "configs" / "comparators.toml"
"""What tuning on validation worlds found for each comparator."""

TRUTH_INFORMED = "reference-true"
"""The reference controller given the true parameters: a diagnosis, never a comparator."""

ReferenceParamsByFamily = Mapping[str, ReferenceParams]


@dataclass(frozen=True, slots=True)
class NamedPlanner:
    """A planner that can be made for any family.

    Attributes:
        name: as tables show it.
        make: builds the planner for worlds of a family; it pickles, so that other processes can.
        knows_truth: whether it is given what reports do not hold.
        training_seed: the seed that trained it; None for one that is not trained.
    """

    name: str
    make: Callable[[FamilyConfig], Planner]
    knows_truth: bool = False
    training_seed: int | None = None


def load_comparators() -> ComparatorsConfig:
    """The tuned comparators."""
    return load_config(ComparatorsConfig, COMPARATORS_FILE)


def load_reference_params() -> dict[str, ReferenceParams]:
    """The tuned reference controller of every family."""
    tuned = load_comparators()
    return {name: _make_reference_params(tuned.find_params(name, "reference") or {}) for name in FAMILIES}


def find_reference_params(params: ReferenceParamsByFamily, family: FamilyConfig) -> ReferenceParams:
    """The family's parameters; a market of the user's own takes those of the default family."""
    return params.get(family.name) or params[DEFAULT_FAMILY]


def make_comparator_planner(name: str) -> NamedPlanner:
    """A comparator with its tuned parameters."""
    tuned = load_comparators()
    return NamedPlanner(name, partial(_make_tuned_comparator, name=name, tuned=tuned))


def make_residual_planner(
    name: str, source: ActionSource, family: FamilyConfig, params: ReferenceParamsByFamily, reach: ActionReach
) -> ResidualPlanner:
    """A residual policy on top of the family's reference controller."""
    chosen = find_reference_params(params, family)
    controller = ReferenceController(make_market_model(family), family.objective, chosen)
    return ResidualPlanner(name, ResidualLoop(controller, make_channel_priors(family), reach), source)


def make_controller_spec(name: str, tuned: ComparatorsConfig) -> ControllerSpec:
    """What an artefact keeps of a controller: its name and its tuned parameters by family."""
    parameters: dict[str, Any] = {}
    for family in FAMILIES:
        found = tuned.find_params(family, name) or {}
        parameters[family] = {
            key: list(setting) if isinstance(setting, tuple) else setting for key, setting in found.items()
        }
    return ControllerSpec(name=name, parameters=parameters)


def make_policy_planner(name: str, policy: LoadedPolicy) -> NamedPlanner:
    """A loaded artefact, network or controller, as a planner."""
    spec = policy.manifest.controller
    if policy.kind is PolicyKind.CONTROLLER:
        return NamedPlanner(name, partial(_make_controller, name=name, spec=spec))
    network = policy.manifest.network
    if network is None:
        msg = f"policy {name!r} says it is a network and holds none: export it again"
        raise ArtifactError(msg)
    reach = ActionReach(network.decode.max_log_bid, network.decode.max_logit)
    params = {family: _make_reference_params(_read(spec, FAMILIES[family])) for family in FAMILIES}
    return NamedPlanner(name, partial(make_residual_planner, name, policy, params=params, reach=reach))


def resolve_planner(
    reference: str, tracking: TrackingConfig | None = None, trust: ArtifactTrustConfig | None = None
) -> NamedPlanner:
    """Finds what a reference means.

    Args:
        reference: a comparator's name, ``reference-true``, the path of an artefact, or an MLflow
            reference such as ``models:/gaelp-bidder@champion``.
        tracking: where MLflow references are looked up.
        trust: what an artefact must prove.

    Raises:
        UnknownReferenceError: it means nothing; suggests what would.
        ArtifactError: the artefact does not verify.
    """
    if reference in COMPARATORS:
        return make_comparator_planner(reference)
    if reference == TRUTH_INFORMED:
        params = load_reference_params()
        return NamedPlanner(
            TRUTH_INFORMED,
            partial(_make_truth_informed, params=params),
            knows_truth=True,
        )
    from gaelp_rl.tracking import ModelRegistry, is_reference

    artifact_trust = make_artifact_trust(trust or ArtifactTrustConfig())
    if is_reference(reference):
        path = ModelRegistry(tracking or TrackingConfig(), artifact_trust).resolve(reference)
    else:
        path = Path(reference)
        if not path.exists():
            known = [*COMPARATORS, TRUTH_INFORMED]
            msg = (
                f"policy {reference!r} is neither a path, an MLflow reference nor a comparator."
                f"{suggest(reference, known)} A registered policy is written models:/gaelp-bidder@champion."
            )
            raise UnknownReferenceError(msg)
    return make_policy_planner(reference, load_policy(path, OBSERVATION_SCHEMA, artifact_trust))


def _make_tuned_comparator(family: FamilyConfig, *, name: str, tuned: ComparatorsConfig) -> Planner:
    return make_comparator(name, family, tuned.find_params(family.name, name))


def _make_controller(family: FamilyConfig, *, name: str, spec: ControllerSpec) -> Planner:
    planner = make_comparator(spec.name, family, _read(spec, family))
    planner.name = name
    return planner


def _make_truth_informed(family: FamilyConfig, *, params: ReferenceParamsByFamily) -> Planner:
    return TruthInformedReference(make_market_model(family), family.objective, find_reference_params(params, family))


def _make_reference_params(settings: Mapping[str, Any]) -> ReferenceParams:
    return ReferenceParams(**settings)


def _read(spec: ControllerSpec, family: FamilyConfig) -> dict[str, float | tuple[float, ...]]:
    """A controller's parameters for a family, as ``make_comparator`` takes them."""
    known = family.name if family.name in spec.parameters else DEFAULT_FAMILY
    settings = spec.parameters.get(known, {})
    if not isinstance(settings, Mapping):
        msg = f"parameters of controller {spec.name!r} for {family.name!r} are {settings!r}; they must be a table"
        raise ConfigError(msg)
    return {key: _read_setting(setting) for key, setting in settings.items()}


def _read_setting(setting: Any) -> float | tuple[float, ...]:
    if isinstance(setting, Sequence) and not isinstance(setting, str):
        return tuple(float(number) for number in setting)
    return float(setting)

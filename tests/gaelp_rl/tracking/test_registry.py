"""From an artefact on disk to a champion and back, through a real MLflow store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ArtifactError, ConfigError, UnknownReferenceError
from gaelp_rl.policy import ArtifactTrust, ControllerSpec, load_policy, save_policy
from gaelp_rl.tracking import ModelRegistry, Tracker, connect, is_reference, make_model_card

pytestmark = pytest.mark.integration

EVIDENCE = {"better": True, "paired_ci": [0.004, 0.019], "family": "campaign"}


@pytest.fixture
def config(tracking_config: TrackingConfig, request: pytest.FixtureRequest) -> TrackingConfig:
    """The shared store, with a registered model of the test's own."""
    return tracking_config.model_copy(update={"model_name": request.node.name.replace("__", "-")[:80].split("[")[0]})


@pytest.fixture
def registry(config: TrackingConfig) -> ModelRegistry:
    return ModelRegistry(config)


def test_register__becomes_the_challenger(
    config: TrackingConfig, registry: ModelRegistry, tracker: Tracker, artifact: Path
) -> None:
    card = make_model_card("bidder", {"summary": "a controller"})
    registered = registry.register(artifact, tracker.run_id, card)
    assert registered.version == 1
    assert registered.uri == f"models:/{config.model_name}/1"
    version = connect(config).get_model_version_by_alias(config.model_name, "challenger")
    assert (int(version.version), version.run_id, version.description) == (1, tracker.run_id, card)
    assert version.tags["policy.kind"] == "controller"
    kept = connect(config).download_artifacts(tracker.run_id, f"model_cards/{registered.sha256[:16]}.md")
    assert Path(kept).read_text() == card
    assert version.tags["policy.sha256"] == registered.sha256


@pytest.mark.parametrize(
    "form", ["models:/{name}@challenger", "models:/{name}/1", "models:/{name}/latest", "runs:/{run}"]
)
def test_resolve__every_form_leads_to_the_artefact(
    config: TrackingConfig, registry: ModelRegistry, tracker: Tracker, artifact: Path, form: str
) -> None:
    registered = registry.register(artifact, tracker.run_id)
    reference = form.format(name=config.model_name, run=tracker.run_id)
    if "/1" in form:
        reference = registered.uri
    assert is_reference(reference)
    assert load_policy(registry.resolve(reference)).sha256 == registered.sha256


def test_resolve__path_inside_a_run_and_download(
    registry: ModelRegistry, tracker: Tracker, artifact: Path, tmp_path: Path
) -> None:
    sha256 = registry.register(artifact, tracker.run_id).sha256
    found = registry.resolve(f"runs:/{tracker.run_id}/policies/{sha256[:16]}", download_to=tmp_path / "copy")
    assert found.is_relative_to(tmp_path / "copy")
    assert load_policy(found).sha256 == sha256


def test_register__versions_of_one_run_stay_apart(
    registry: ModelRegistry, tracker: Tracker, artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A second policy of the same run must not write into the files of the first."""
    other = tmp_path_factory.mktemp("other") / "policy"
    first = registry.register(artifact, tracker.run_id)
    save_policy(other, controller=ControllerSpec(name="another"), provenance=load_policy(artifact).manifest.provenance)
    second = registry.register(other, tracker.run_id)
    assert second.version == first.version + 1
    assert load_policy(registry.resolve(first.uri)).sha256 == first.sha256
    assert load_policy(registry.resolve(f"runs:/{tracker.run_id}")).sha256 == second.sha256


def test_promote__sets_the_alias_and_keeps_the_evidence(
    config: TrackingConfig, registry: ModelRegistry, tracker: Tracker, artifact: Path
) -> None:
    for _ in range(2):
        registry.register(artifact, tracker.run_id)
    registry.promote(1, EVIDENCE)
    registry.promote(2, EVIDENCE)
    champion = connect(config).get_model_version_by_alias(config.model_name, "champion")
    assert int(champion.version) == 2
    assert json.loads(champion.tags["evidence"]) == EVIDENCE
    assert champion.tags["replaced_version"] == "1"
    assert registry.resolve(f"models:/{config.model_name}@champion") == registry.resolve(
        f"models:/{config.model_name}/2"
    )


@pytest.mark.parametrize(
    ("evidence", "message"),
    [({}, "needs evidence"), ({"fho": float("nan")}, "must be JSON"), ({"x": Path("y")}, "must be JSON")],
)
def test_promote__needs_evidence_as_json(
    config: TrackingConfig, registry: ModelRegistry, evidence: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.promote(1, evidence)


def test_promote__evidence_that_does_not_fit(registry: ModelRegistry) -> None:
    with pytest.raises(ConfigError, match="without per-world numbers"):
        registry.promote(1, {"fho": [0.123456789] * 10_000})


def test_promote__damaged_artefact_does_not_replace_the_champion(
    config: TrackingConfig, registry: ModelRegistry, tracker: Tracker, artifact: Path
) -> None:
    first = registry.register(artifact, tracker.run_id)
    registry.promote(first.version, EVIDENCE)
    second = registry.register(artifact, tracker.run_id)
    manifest = registry.resolve(second.uri) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-5])
    with pytest.raises(ArtifactError, match=r"manifest\.json has sha256"):
        registry.promote(second.version, EVIDENCE)
    assert connect(config).get_registered_model(config.model_name).aliases["champion"] == first.version


def test_register__artefact_that_does_not_verify(config: TrackingConfig, tracker: Tracker, artifact: Path) -> None:
    strict = ModelRegistry(config, trust=ArtifactTrust(allowed_sha256=frozenset({"0" * 64})))
    with pytest.raises(ArtifactError, match="allow-list"):
        strict.register(artifact, tracker.run_id)
    assert connect(config).list_artifacts(tracker.run_id) == []


def test_resolve__unknown_references_suggest_known_ones(
    config: TrackingConfig, registry: ModelRegistry, tracker: Tracker, artifact: Path
) -> None:
    name = config.model_name
    registry.register(artifact, tracker.run_id)
    for reference, message in (
        (f"models:/{name}s@challenger", rf"no registered model '{name}s'\. Did you mean '{name}"),
        (f"models:/{name}@champion", r"no alias 'champion'\. .*'?challenger"),
        (f"models:/{name}/7", r"no version 7\. Known: 1\."),
        (f"models:/{name}", "is no reference to a recorded policy: write one of models:/NAME@ALIAS"),
        (f"models:/{name}/Production", "is no reference"),
        ("runs:/zz", "is no reference"),
        ("runs:/" + "0" * 32, rf"there is no run 0+\. Newest in 'gaelp': .*{tracker.run_id} \(test\)"),
        (f"runs:/{tracker.run_id}/policies/../../x", "cannot contain"),
        (f"runs:/{tracker.run_id}/absent", "cannot be fetched"),
    ):
        with pytest.raises(UnknownReferenceError, match=message):
            registry.resolve(reference)
    with tracker.start_child("empty") as child, pytest.raises(UnknownReferenceError, match="registered no policy"):
        registry.resolve(f"runs:/{child.run_id}")


def test_resolve__files_that_are_gone(registry: ModelRegistry, tracker: Tracker, artifact: Path) -> None:
    registered = registry.register(artifact, tracker.run_id)
    shutil.rmtree(registry.resolve(registered.uri))
    with pytest.raises(UnknownReferenceError, match="restore those files, or use another version"):
        registry.resolve(registered.uri)

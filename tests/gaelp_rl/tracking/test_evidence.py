"""Promotion is by evidence about this artefact, against the champion of today."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ArtifactError, ConfigError, DataError, UnknownReferenceError
from gaelp_rl.policy import ControllerSpec, Provenance, load_policy, save_policy
from gaelp_rl.tracking import Evidence, ModelRegistry, Tracker, connect
from gaelp_rl.tracking.evidence import dump_tag, find_objection

PASSING = Evidence(
    sha256="a" * 64,
    policy="policy",
    champion="policy",
    better=True,
    better_on=("campaign",),
    reasons={"campaign": ("+0.60 points against reference (interval +0.20 to +1.00): better",)},
    families=("campaign", "mild"),
    worlds=200,
    first_seed=0,
    fho_iqm={"campaign": 0.93, "mild": 0.97},
    judged_against=None,
    git_commit="c" * 40,
)
FAILING = replace(PASSING, champion="reference", better=False, better_on=())


@pytest.mark.parametrize("evidence", [PASSING, FAILING, replace(PASSING, judged_against=3)])
def test_evidence__is_read_back_as_it_was_written(evidence: Evidence) -> None:
    assert Evidence.load(dump_tag(evidence.to_mapping())) == evidence


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"families": 3}', dump_tag({**PASSING.to_mapping(), "more": 1})])
def test_evidence__damaged(text: str) -> None:
    with pytest.raises(DataError, match="judge it again"):
        Evidence.load(text)


def test_verdict__in_a_few_words() -> None:
    assert PASSING.verdict == "better on campaign"
    assert FAILING.verdict == "reference instead"
    assert replace(FAILING, policy="reference").verdict == "best controller"


@pytest.mark.parametrize(
    ("evidence", "sha256", "champion", "objection"),
    [
        (PASSING, "a" * 64, None, ""),
        (PASSING, "a" * 64, (4, False), ""),
        (replace(PASSING, judged_against=4), "a" * 64, (4, True), ""),
        (None, "a" * 64, None, "never judged"),
        (PASSING, "b" * 64, None, "of another artefact"),
        (FAILING, "a" * 64, None, "named 'reference' and not it .*interval"),
        (PASSING, "a" * 64, (4, True), "not judged against version 4"),
        (replace(PASSING, judged_against=3), "a" * 64, (4, True), "not judged against version 4"),
    ],
)
def test_find_objection__what_forbids_a_promotion(
    evidence: Evidence | None, sha256: str, champion: tuple[int, bool] | None, objection: str
) -> None:
    found = find_objection(evidence, sha256, champion)
    assert (found == "") is (objection == "")
    assert re.search(objection, found), found


@pytest.fixture
def registry(tracking_config: TrackingConfig, request: pytest.FixtureRequest) -> ModelRegistry:
    name = request.node.name.replace("__", "-")[:80].split("[")[0]
    return ModelRegistry(tracking_config.model_copy(update={"model_name": name}))


def _register(registry: ModelRegistry, tracker: Tracker, folder: Path, name: str, evidence: Evidence | None) -> int:
    """A version of its own, with evidence about itself."""
    provenance = Provenance(run_id="run-1", git_commit="unknown", created_at=datetime(2026, 11, 22, tzinfo=UTC))
    save_policy(folder / name, controller=ControllerSpec(name=name), provenance=provenance)
    sha256 = load_policy(folder / name).sha256
    own = None if evidence is None else replace(evidence, sha256=sha256)
    return registry.register(folder / name, tracker.run_id, f"# {name}", own).version


@pytest.mark.integration
def test_promotion__refused_without_passing_evidence_and_undone_by_a_rollback(
    registry: ModelRegistry, tracker: Tracker, tmp_path: Path
) -> None:
    first = _register(registry, tracker, tmp_path, "first", PASSING)
    unjudged = _register(registry, tracker, tmp_path, "unjudged", None)
    worse = _register(registry, tracker, tmp_path, "worse", FAILING)
    second = _register(registry, tracker, tmp_path, "second", PASSING)
    third = _register(registry, tracker, tmp_path, "third", PASSING)
    with pytest.raises(UnknownReferenceError, match="has no champion to roll back from"):
        registry.roll_back()
    registry.promote_by_evidence(first)
    with pytest.raises(UnknownReferenceError, match="is the first champion"):
        registry.roll_back()
    for version, message in ((unjudged, "never judged"), (worse, "named 'reference'"), (first, "champion already")):
        with pytest.raises(ConfigError, match=message):
            registry.promote_by_evidence(version)
    registry.promote_by_evidence(second)
    registry.promote_by_evidence(third)
    found = {record.version: record for record in registry.list_versions()}
    assert found[third].aliases == ("challenger", "champion")
    assert (found[second].replaced, found[third].replaced, found[first].replaced) == (first, second, None)
    assert [registry.roll_back(), registry.roll_back()] == [(third, second), (second, first)]
    champion = registry.find_champion()
    assert champion is not None
    assert champion.version == first
    with pytest.raises(UnknownReferenceError, match=r"has no version 99\. Known: "):
        registry.promote_by_evidence(99)


@pytest.mark.integration
def test_rollback__to_damaged_files_leaves_the_champion(
    registry: ModelRegistry, tracker: Tracker, tmp_path: Path
) -> None:
    first = _register(registry, tracker, tmp_path, "first", PASSING)
    second = _register(registry, tracker, tmp_path, "second", PASSING)
    registry.promote_by_evidence(first)
    registry.promote_by_evidence(second)
    manifest = registry.resolve(f"models:/{registry.model_name}/{first}") / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-5])
    with pytest.raises(ArtifactError, match="manifest"):
        registry.roll_back()
    champion = registry.find_champion()
    assert champion is not None
    assert champion.version == second


@pytest.mark.integration
def test_list_versions__newest_first_with_card_and_evidence(
    registry: ModelRegistry, tracker: Tracker, tmp_path: Path, tracking_config: TrackingConfig
) -> None:
    assert registry.list_versions() == []
    older = _register(registry, tracker, tmp_path, "older", None)
    newer = _register(registry, tracker, tmp_path, "newer", FAILING)
    records = registry.list_versions()
    assert [record.version for record in records] == [newer, older]
    assert [record.card for record in records] == ["# newer", "# older"]
    assert records[0].evidence == replace(FAILING, sha256=records[0].sha256)
    assert (records[0].kind, records[0].controller, records[0].run_id) == ("controller", "newer", tracker.run_id)
    registry.record_evidence(older, replace(PASSING, sha256=records[1].sha256))
    registry.promote_by_evidence(older)
    tags = connect(tracking_config).get_model_version(registry.model_name, str(older)).tags
    assert Evidence.load(tags["evidence"]).better_on == ("campaign",)

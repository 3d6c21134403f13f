"""The main job end to end, as a user runs it, only shorter."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from experiments.champion import INCUMBENT, find_incumbent
from experiments.evaluate import run_evaluate
from experiments.judge import judge, load_worlds
from experiments.planners import resolve_planner
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.market import load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ArtifactError, UnknownReferenceError
from gaelp_rl.policy import PolicyKind, load_policy
from gaelp_rl.tracking import ModelRegistry, connect
from gaelp_rl.tracking.model_card import SECTIONS
from gaelp_rl.training.checkpoint import find_latest_checkpoint, list_checkpoints

pytestmark = pytest.mark.integration

_ROOT = Path(__file__).resolve().parents[2]


def _make_overrides(out: Path, episodes: int) -> list[str]:
    return [
        f'out="{out}"',
        f'tracking.database="{out / "mlflow.db"}"',
        f'tracking.artifact_root="{out / "artifacts"}"',
        'families=["campaign"]',
        'bootstrap="none"',
        "validation_worlds=16",
        "residual_scales=[0.5]",
        'evaluation.families=["campaign", "mild"]',
        "evaluation.worlds=16",
        "evaluation.bootstrap_resamples=200",
        f"training.episodes={episodes}",
        "training.worlds_per_env_runner=16",
        "training.warmup_steps=384",
        "training.batch_size=64",
        "training.replay_capacity=20000",
        "training.critic_warmup_updates=8",
        "training.validate_every_episodes=128",
        "training.checkpoint_every_episodes=64",
    ]


def _start(overrides: list[str], *more: str) -> subprocess.Popen[str]:
    flags = [part for override in overrides for part in ("--set", override)]
    environment = {**os.environ, "RAY_ADDRESS": ""}
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.sprint", *flags, *more],
        cwd=_ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _wait_for_checkpoint(run: subprocess.Popen[str], checkpoints: Path, above: int) -> int:
    """Episodes of the first checkpoint above ``above``."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and run.poll() is None:
        found = list_checkpoints(checkpoints)
        if found and (episodes := int(found[-1].name.rsplit("-", 1)[1])) > above:
            return episodes
        time.sleep(0.1)
    run.kill()
    raise AssertionError(run.communicate()[0])


@pytest.fixture(scope="module")
def sprint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sprint killed without warning, resumed, stopped politely, and resumed to its end."""
    out = tmp_path_factory.mktemp("sprint")
    checkpoints, resume = out / "checkpoints", ("--resume", "latest")
    first = _start(_make_overrides(out, 4_096))
    reached = _wait_for_checkpoint(first, checkpoints, 0)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = _start([f'out="{out}"'], *resume)
    reached = _wait_for_checkpoint(second, checkpoints, reached)
    second.send_signal(signal.SIGTERM)
    printed, _ = second.communicate(timeout=60)
    assert second.returncode == 130, printed
    assert "stopped and saved" in printed
    reached = int(find_latest_checkpoint(checkpoints).name.rsplit("-", 1)[1])
    third = _start([f'out="{out}"', f"training.episodes={reached + 256}"], *resume)
    printed, _ = third.communicate(timeout=400)
    assert third.returncode == 0, printed
    assert f"resumed at {reached:,} episodes" in printed
    assert "in the same worlds" in " ".join(printed.split())
    return out


def _load_tracking(out: Path) -> TrackingConfig:
    return load_config(SprintConfig, None, _make_overrides(out, 1)).tracking


def test_sprint__leaves_policy_report_and_scores(sprint: Path) -> None:
    policy = load_policy(sprint / "policy")
    assert policy.network is not None
    assert (sprint / "report" / "report.html").stat().st_size > 50_000
    assert list((sprint / "report").glob("*.png"))
    families = json.loads((sprint / "report" / "results.json").read_text())["families"]
    assert set(families) == {"campaign", "mild"}
    for family in families.values():
        scored = family["policies"]["policy"]
        assert len(scored["fho"]) == 16
        assert scored["budget_breach_share"] == 0.0


def test_sprint__registers_a_champion_and_a_challenger(sprint: Path) -> None:
    registry = ModelRegistry(_load_tracking(sprint))
    challenger = load_policy(registry.resolve("models:/gaelp-bidder@challenger"))
    assert challenger.sha256 == load_policy(sprint / "policy").sha256
    champion = load_policy(registry.resolve("models:/gaelp-bidder@champion"))
    assert champion.manifest.controller.parameters


def test_incumbent__is_a_trained_champion_that_still_runs(sprint: Path, tmp_path: Path) -> None:
    """In a copy of the registry, where the challenger is made champion by hand."""
    shutil.copy(sprint / "mlflow.db", tmp_path / "mlflow.db")
    overrides = [*_make_overrides(sprint, 1), f'tracking.database="{tmp_path / "mlflow.db"}"']
    config = load_config(SprintConfig, None, overrides)
    registry = ModelRegistry(config.tracking)
    if load_policy(registry.resolve("models:/gaelp-bidder@champion")).kind is PolicyKind.CONTROLLER:
        assert find_incumbent(config.tracking, config.trust, Console(quiet=True)) is None
    client = connect(config.tracking)
    version = client.get_model_version_by_alias("gaelp-bidder", "challenger").version
    registry.promote(int(version), {"by": "hand"})
    incumbent = find_incumbent(config.tracking, config.trust, Console(quiet=True))
    assert incumbent is not None
    assert (incumbent.planner.name, incumbent.version) == (INCUMBENT, int(version))
    without = config.tracking.model_copy(update={"model_name": "other"})
    assert find_incumbent(without, config.trust, Console(quiet=True)) is None


def test_learning_curve__goes_on_after_the_kill(sprint: Path) -> None:
    curve = json.loads((sprint / "run.json").read_text())["curve"]
    episodes = [point["episodes"] for point in curve]
    assert episodes == sorted(set(episodes))
    assert episodes[0] == 0
    assert all(episode % 128 == 0 for episode in episodes[:-1]), "a resumed run keeps its beat"


def test_interrupted_run__is_one_run_in_mlflow(sprint: Path) -> None:
    tracking = _load_tracking(sprint)
    client = connect(tracking)
    experiment = client.get_experiment_by_name(tracking.experiment)
    (run,) = _find_runs(client, experiment.experiment_id, is_child=False)
    assert run.info.status == "FINISHED"
    assert run.data.params["training.batch_size"] == "64"
    history = [metric.step for metric in client.get_metric_history(run.info.run_id, "train/episodes")]
    assert max(history) == int(find_latest_checkpoint(sprint / "checkpoints").name.rsplit("-", 1)[1])


def _find_runs(client: Any, experiment_id: str, *, is_child: bool) -> list[Any]:
    runs = client.search_runs([experiment_id])
    return [run for run in runs if ("mlflow.parentRunId" in run.data.tags) is is_child]


def _load_documented(*headings: str) -> set[str]:
    """Names in the first columns of the tables under some headings of docs/metrics.md."""
    document = (_ROOT / "docs" / "metrics.md").read_text()
    sections = dict(part.split("\n", 1) for part in document.split("\n## ")[1:])
    rows = [line.split("|")[1] for name in headings for line in sections[name].splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(r"`([^`]+/[^`]+)`", cell)}


def test_metrics__what_a_sprint_logs_is_what_the_document_defines(sprint: Path) -> None:
    """Both ways: no number without a definition, no definition without a number."""
    tracking = _load_tracking(sprint)
    client = connect(tracking)
    experiment_id = client.get_experiment_by_name(tracking.experiment).experiment_id
    runs = [run for is_child in (False, True) for run in _find_runs(client, experiment_id, is_child=is_child)]
    logged = {
        re.sub(r"^(validation|test)/(campaign|mild)/", r"\1/<family>/", name)
        for run in runs
        for name in run.data.metrics
    }
    documented = _load_documented("Training", "System", "Validation and test")
    assert logged - documented == set(), "define these in docs/metrics.md"
    assert documented - logged == set(), "docs/metrics.md defines what no sprint logs"


def test_children__hold_everybody_who_was_judged_under_the_same_names(sprint: Path) -> None:
    tracking = _load_tracking(sprint)
    client = connect(tracking)
    experiment_id = client.get_experiment_by_name(tracking.experiment).experiment_id
    (parent,) = _find_runs(client, experiment_id, is_child=False)
    children = {run.data.tags["policy"]: run for run in _find_runs(client, experiment_id, is_child=True)}
    assert {"policy", "reference", "even-split", "reference-true"} <= set(children)
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}
    assert {frozenset(run.data.metrics) for run in children.values()} == {frozenset(children["policy"].data.metrics)}
    name = "test/campaign/fho_iqm"
    assert children["policy"].data.metrics[name] == parent.data.metrics[name]
    kinds = {policy: run.data.tags["judged.as"] for policy, run in children.items()}
    assert (kinds["policy"], kinds["reference"], kinds["reference-true"]) == ("policy", "comparator", "diagnosis")


def test_datasets__name_the_worlds_of_every_use(sprint: Path) -> None:
    tracking = _load_tracking(sprint)
    client = connect(tracking)
    experiment_id = client.get_experiment_by_name(tracking.experiment).experiment_id
    (run,) = _find_runs(client, experiment_id, is_child=False)
    found = {entry.dataset.name: (entry.tags[0].value, entry.dataset) for entry in run.inputs.dataset_inputs}
    uses = {name: use for name, (use, _) in found.items()}
    assert uses["campaign-train"] == "training"
    assert uses["campaign-validation"] == "validation"
    assert uses["campaign-test"] == uses["mild-test"] == "test"
    source = json.loads(found["mild-test"][1].source)
    assert (source["first_seed"], source["last_seed"], source["split"]) == (0, 15, "test")
    assert re.fullmatch("[0-9a-f]{40}|unknown", run.data.tags["mlflow.source.git.commit"])


def test_registry__every_version_has_its_evidence_and_card(sprint: Path) -> None:
    registry = ModelRegistry(_load_tracking(sprint))
    for record in registry.list_versions():
        assert record.evidence is not None
        assert record.evidence.sha256 == record.sha256
        assert record.evidence.families == ("campaign", "mild")
        assert all(f"## {heading}" in record.card for heading in SECTIONS.values())
        assert "Not recorded." not in record.card
    champion = registry.find_champion()
    assert champion is not None
    assert champion.evidence is not None
    assert champion.evidence.champion == champion.evidence.policy


def test_evaluate__takes_the_policy_by_path(sprint: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    run_evaluate([str(sprint / "policy")], ["campaign"], 8, 500, scores, tmp_path / "report")
    policies = json.loads(scores.read_text())["families"]["campaign"]["policies"]
    assert {str(sprint / "policy"), "reference", "even-split", "reference-true"} <= set(policies)
    needed = ("fho_iqm", "fho_ci", "fho_p10", "cpa_violation_share", "conversions_per_day", "soft_score", "fho")
    assert set(needed) <= set(policies["reference"])


def test_registry_reference__is_the_same_planner_as_the_path(sprint: Path) -> None:
    registered = resolve_planner("models:/gaelp-bidder@challenger", _load_tracking(sprint))
    worlds = load_worlds(load_family("campaign").model_copy(update={"days": 2}), "validation", 0, 4)
    first, second = judge([registered, resolve_planner(str(sprint / "policy"))], worlds)
    assert first.policy == "models:/gaelp-bidder@challenger"
    np.testing.assert_array_equal(first.spend, second.spend)


def test_unknown_reference__suggests_the_nearest() -> None:
    with pytest.raises(UnknownReferenceError, match="'reference'"):
        resolve_planner("referense")


def test_corrupt_artefact__is_refused(sprint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "policy"
    copy.mkdir()
    for path in (sprint / "policy").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    weights = copy / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        resolve_planner(str(copy))


def test_resume_without_checkpoint__says_so(tmp_path: Path) -> None:
    run = _start(_make_overrides(tmp_path / "empty", 64), "--resume", "latest")
    printed, _ = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "checkpoint" in printed

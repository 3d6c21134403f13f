"""Tune around synthetic trials whose score is known beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gaelp_rl.errors import ResourceError
from gaelp_rl.training.schedulers import Range, make_asha, make_pbt
from gaelp_rl.training.tuning import TrialPlan, TrialSpec, check_is_ours, run_trials


class Climb:
    """Scores ``slope`` per rung of 10 episodes; state is one JSON file."""

    def __init__(self, settings: Mapping[str, Any], seeds: tuple[int, ...]) -> None:
        self._slope, self._at, self._score = settings["slope"], 0, 0.0

    def advance(self) -> dict[str, Any]:
        self._at += 10
        self._score += self._slope
        return {"episodes": self._at, "score": self._score}

    def save(self, folder: Path) -> None:
        (folder / "state.json").write_text(json.dumps([self._at, self._score]))

    def load(self, folder: Path) -> None:
        self._at, self._score = json.loads((folder / "state.json").read_text())

    def close(self) -> None:
        pass


class Notes:
    def __init__(self) -> None:
        self.results: list[tuple[int, int]] = []
        self.ends: list[int] = []

    def note_result(self, number: int, settings: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
        self.results.append((number, metrics["episodes"]))

    def note_end(self, number: int, *, is_failed: bool) -> None:
        self.ends.append(number)


@pytest.mark.integration
def test_asha__stops_bad_trials_at_the_first_rung(ray_session: None, tmp_path: Path) -> None:
    """One at a time, best first: a trial below the median of those before it ends at its first rung."""
    slopes = [5.0, 4.0, 1.0, 0.0]
    specs = [TrialSpec(number, {"slope": slope}, (0,)) for number, slope in enumerate(slopes)]
    notes = Notes()
    plan = TrialPlan(episodes=40, scheduler="asha", grace_episodes=10, reduction_factor=2.0, cpus=2.0)
    outcomes = run_trials(tmp_path / "trial", Climb, specs, plan, notes)
    assert [one.metrics["episodes"] for one in outcomes] == [40, 10, 10, 10]
    assert outcomes[0].metrics["score"] == 20.0
    assert sorted(notes.ends) == [0, 1, 2, 3]
    assert not any(one.is_failed for one in outcomes)


def _add(scheduler: Any, *names: str) -> None:
    scheduler.set_search_properties("score", "max")
    for name in names:
        scheduler.on_trial_add(None, SimpleNamespace(trial_id=name))


def test_asha__remembers_rungs_across_a_restart(tmp_path: Path) -> None:
    """Tune forgets a scheduler's rungs: a bad trial would pass the first rung after every restart."""
    record = tmp_path / "rungs.jsonl"
    before = make_asha(record, 40, 10, 2.0)
    _add(before, "good")
    good = SimpleNamespace(trial_id="good")
    assert before.on_trial_result(None, good, {"episodes": 10, "score": 5.0, "training_iteration": 1}) == "CONTINUE"
    with record.open("a") as file:
        file.write('{"trial": "cut sh')
    after = make_asha(record, 40, 10, 2.0)
    _add(after, "good", "bad")
    bad = SimpleNamespace(trial_id="bad")
    assert after.on_trial_result(None, bad, {"episodes": 10, "score": 1.0, "training_iteration": 1}) == "STOP"


def test_population__explores_within_its_ranges() -> None:
    """Factors of 1.2 upon 1.2 leave any range in the end."""
    scheduler = make_pbt({"rate": Range(1e-4, 1e-3, is_logarithmic=True)}, 10)
    for rate in (9.9e-4, 1.01e-4):
        clipped = scheduler._custom_explore_fn({"trial": {"settings": {"rate": rate * (1.2 if rate > 5e-4 else 0.8)}}})
        assert 1e-4 <= clipped["trial"]["settings"]["rate"] <= 1e-3


@pytest.mark.integration
def test_population__copies_score_and_settings_of_the_best(ray_session: None, tmp_path: Path) -> None:
    specs = [TrialSpec(number, {"slope": slope}, (0,)) for number, slope in enumerate([1.0, 0.0, 0.0, 0.0])]
    mutations = {"slope": Range(0.0, 1.0)}
    plan = TrialPlan(episodes=30, scheduler="pbt", grace_episodes=10, mutations=mutations, cpus=0.5)
    outcomes = run_trials(tmp_path / "trial", Climb, specs, plan, Notes())
    assert [one.number for one in outcomes] == [0, 1, 2, 3], "a copy keeps its own identity"
    assert all(0.0 <= one.settings["slope"] <= 1.0 for one in outcomes)
    assert sum(one.metrics["score"] > 0.0 for one in outcomes) >= 2, "nobody copied the best"


def test_pickles__of_others_are_refused(tmp_path: Path) -> None:
    pickle = tmp_path / "tuner.pkl"
    pickle.write_bytes(b"")
    check_is_ours(tmp_path)
    pickle.chmod(0o666)
    with pytest.raises(ResourceError, match="pickles, which run code"):
        check_is_ours(tmp_path)


def test_pickles__behind_a_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "tuner.pkl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResourceError, match="link"):
        check_is_ours(tmp_path)

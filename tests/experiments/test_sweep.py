"""Draws, ranking and the verdict of a sweep, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.sweep import draw_trials, load_resumable_config, rank_trials
from experiments.sweep_report import Confirmation, compute_confirmation, make_effects_figure, smooth
from experiments.sweep_trial import make_trial_config, summarise_gains
from gaelp_rl.config.sweep import SweepConfig
from gaelp_rl.errors import CheckpointError, ResourceError
from gaelp_rl.training.tuning import TrialOutcome


@pytest.fixture(scope="module")
def config() -> SweepConfig:
    return load_resumable_config(None, [], "asha", None, resume=False)


def _end(number: int, score: float, episodes: int = 8_192, **more: Any) -> TrialOutcome:
    return TrialOutcome(number, {}, {"score": score, "score_se": 0.01, "episodes": episodes, **more}, is_failed=False)


def test_trials__start_with_the_default_and_repeat_for_a_seed(config: SweepConfig) -> None:
    trials = draw_trials(config)
    assert len(trials) == 16
    sprint = config.sprint
    assert trials[0].settings["training.gamma"] == sprint.training.gamma
    assert make_trial_config(config, trials[0].settings, 0).max_log_bid == sprint.max_log_bid
    assert trials == draw_trials(config)
    assert trials != draw_trials(config.model_copy(update={"seed": 1}))
    assert len({str(trial.settings) for trial in trials}) == 16


def test_trials__fill_the_space_evenly(config: SweepConfig) -> None:
    """16 Sobol points have one in each sixteenth of every dimension; the default replaced the last of them."""
    low, high = np.log(config.space["training.critic_curvature"].corners)  # type: ignore[arg-type]
    drawn = np.log([trial.settings["training.critic_curvature"] for trial in draw_trials(config)[1:]])
    cells = np.minimum(((drawn - low) / (high - low) * 16).astype(int), 15)
    assert len(set(cells)) >= 14, "four significant digits may move a point over an edge"


def test_trial_config__holds_what_the_trial_samples_and_no_more(config: SweepConfig) -> None:
    own = make_trial_config(config, {}, 7).training
    assert own.replay_capacity == (8_192 + 128) * 24
    assert (own.seed, own.episodes) == (7, config.episodes)


def test_ranking__never_lets_an_early_stop_or_a_crash_win() -> None:
    crashed = TrialOutcome(4, {}, {}, is_failed=True)
    ranking = rank_trials([_end(0, 0.1), _end(1, 9.0, 2_048), crashed, _end(2, 0.2), _end(3, float("nan"))])
    assert [one.number for one in ranking][:3] == [2, 0, 1]
    with pytest.raises(ResourceError, match="every trial failed"):
        rank_trials([crashed])


def test_score__adds_the_spread_of_seeds_and_of_worlds() -> None:
    """Seeds 0 and 2: mean 1, variance of the mean 2 / 2 = 1; worlds -1, 1: 2 / 2 = 1; in points, times 100."""
    gains = np.array([[-1.0, 1.0], [1.0, 3.0]])
    summary = summarise_gains({"campaign": gains})
    assert summary["score"] == pytest.approx(100.0)
    assert summary["score_se"] == pytest.approx(100.0 * np.sqrt(2.0))
    both = summarise_gains({"campaign": gains, "wide": gains - 1.0})
    assert both["score"] == pytest.approx(50.0)
    assert both["score_wide"] == pytest.approx(0.0)


def _confirm(config: SweepConfig, gain: float) -> Confirmation:
    rng = np.random.default_rng(0)
    worlds = {name: rng.uniform(0.8, 1.0, 64) for name in ("campaign", "wide")}
    default = [_end(i, 0.0, fho={name: [list(fho)] for name, fho in worlds.items()}) for i in range(3)]
    winner = [_end(i, 0.0, fho={name: [list(fho + gain + 1e-4 * i)] for name, fho in worlds.items()}) for i in range(3)]
    return compute_confirmation(winner, default, config)


def test_confirmation__adopts_only_beyond_chance(config: SweepConfig) -> None:
    better, same, worse = (_confirm(config, gain) for gain in (0.01, -1e-4, -0.01))
    assert better.is_better
    assert better.difference == pytest.approx(1.01, abs=1e-6)
    assert better.plain_words.startswith("adopt")
    assert not same.is_better
    assert "not shown" in same.plain_words
    assert "worse" in worse.plain_words


def test_confirmation__is_not_bought_with_another_family() -> None:
    families = {"campaign": (0.5, 0.4, 0.6), "wide": (-0.2, -0.3, -0.1)}
    assert not Confirmation(0.2, 0.1, 0.3, families, 4, 256).is_better


def test_smoother__is_exact_for_constants_and_local_for_steps() -> None:
    x = np.linspace(0.0, 1.0, 21)
    np.testing.assert_allclose(smooth(x, np.full(21, 3.0), x, 0.2), 3.0)
    step = smooth(x, (x > 0.5).astype(float), np.array([0.0, 1.0]), 0.05)
    np.testing.assert_allclose(step, [0.0, 1.0], atol=1e-9)


def test_effects__have_a_panel_for_every_setting(config: SweepConfig) -> None:
    outcomes = [
        TrialOutcome(one.number, one.settings, {"score": 0.1 * one.number, "episodes": 8_192}, is_failed=False)
        for one in draw_trials(config)
    ]
    figure = make_effects_figure(config, outcomes)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == list(config.space)


def test_resume__keeps_its_settings_or_says_why_not(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no sweep in"):
        load_resumable_config(None, [], "asha", tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="keeps its settings"):
        load_resumable_config(None, ["trials=4"], "asha", tmp_path, resume=True)

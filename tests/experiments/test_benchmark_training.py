"""Our trainer and its peers run the same worlds at the same ratio; no test asserts a time."""

from __future__ import annotations

import numpy as np
import pytest

import experiments.benchmark_training as benchmark
from experiments.benchmark_training import TrainingSizes, measure_learner, measure_training
from gaelp_rl.config.training import TrainingConfig

_TINY = TrainingSizes(
    training=TrainingConfig(
        worlds_per_env_runner=4, batch_size=16, hidden_sizes=(8, 8), replay_capacity=4_800, updates_per_call=2
    ),
    calls=2,
    stock_updates=2,
    days=2,
    peer_days=2,
    apart_worlds=4,
)


@pytest.mark.integration
def test_learner__ours_and_the_stock_one_are_timed(ray_session: None) -> None:
    (row,) = measure_learner(_TINY)
    assert row.figure > 0.0
    assert row.against_figure is not None
    assert row.against_figure > 0.0


@pytest.mark.integration
def test_training__all_run_at_the_ratio_asked_for(ray_session: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days of 24 hours of 4 worlds: ours is timed over two days, RLlib's over its 25 steps."""
    counts, rates = [], []
    count, compare = benchmark._count_steps, benchmark._compare

    def remember(result: object) -> float:
        counts.append(count(result))
        return counts[-1]

    def keep(ours: benchmark._Rate, name: str, peer: benchmark._Rate, training: TrainingConfig) -> object:
        rates.append((name, ours, peer))
        return compare(ours, name, peer, training)

    monkeypatch.setattr(benchmark, "_count_steps", remember)
    monkeypatch.setattr(benchmark, "_compare", keep)
    rows = measure_training(_TINY)
    assert counts[:6] == [96, 192, 288, 384, 100, 200], "ours in two rounds of a day each, then RLlib's 100 steps"
    assert [after - before for before, after in zip(counts[6::2], counts[7::2], strict=True)] == [96, 96], (
        "and with an env runner beside it"
    )
    for _, ours, peer in rates:
        assert ours.steps / ours.updates == peer.steps / peer.updates == 64
    assert {row.against for row in rows} == {benchmark._RLLIB, benchmark._SB3, "goal", ""}
    assert all(np.isfinite(row.figure) for row in rows)

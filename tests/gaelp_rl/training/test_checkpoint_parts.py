"""The parts of a checkpoint: all of the state, in parts that tell themselves apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gaelp_rl.training.checkpoint_parts import hash_parts, join_parts, split_parts


def _make_state() -> dict[str, Any]:
    return {
        "fast_sac": {"episodes": 7, "metrics_logger": object()},
        "replay": {"rewards": np.arange(3.0)},
        "learner_group": {"learner": {"weights": np.ones(2), "metrics_logger": object()}},
        "env_runner": {"worlds": {"rng": "state"}, "metrics_logger": object()},
        "generation": 2,
        "metrics_logger": object(),
    }


def test_parts__join_to_the_state_without_its_metrics() -> None:
    joined = join_parts(split_parts(_make_state()))
    assert joined is not None
    assert joined["generation"] == 2
    assert joined["fast_sac"] == {"episodes": 7}
    assert joined["env_runner"] == {"worlds": {"rng": "state"}}
    np.testing.assert_array_equal(joined["learner_group"]["learner"]["weights"], np.ones(2))


@pytest.mark.parametrize("parts", [None, {}, {"fast_sac": {}, "replay": {}}, [1]])
def test_parts__of_something_else_are_none(parts: Any) -> None:
    assert join_parts(parts) is None


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("fast_sac", lambda state: state["fast_sac"].update(episodes=8)),
        ("replay", lambda state: state["replay"]["rewards"].__setitem__(0, -1.0)),
        ("learner_group", lambda state: state["learner_group"]["learner"]["weights"].__setitem__(1, 0.0)),
        ("worlds", lambda state: state["env_runner"]["worlds"].update(rng="other")),
    ],
)
def test_hashes__only_the_changed_part_differs(part: str, change: Any) -> None:
    changed = _make_state()
    change(changed)
    before, after = hash_parts(split_parts(_make_state())), hash_parts(split_parts(changed))
    assert {name for name in before if before[name] != after[name]} == {part}

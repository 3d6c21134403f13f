"""What of an algorithm's state goes into a checkpoint, in which parts, and the hash of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.rllib.core import COMPONENT_ENV_RUNNER, COMPONENT_LEARNER_GROUP

from gaelp_rl.training.env_runner import WORLDS_KEY
from gaelp_rl.training.state_codec import compute_state_hash

__all__ = ["COUNTERS_KEY", "NOT_IN_CHECKPOINTS", "REPLAY_KEY", "hash_parts", "join_parts", "split_parts"]

COUNTERS_KEY, REPLAY_KEY = "fast_sac", "replay"
NOT_IN_CHECKPOINTS = "metrics_logger"
"""RLlib's metrics are a view of training, not a state of it."""

_PARTS = (COUNTERS_KEY, REPLAY_KEY, COMPONENT_LEARNER_GROUP)
_REST = "rllib"


def split_parts(state: dict[str, Any]) -> dict[str, Any]:
    """Counters, replay, learner, and everything else as ``rllib``, without metrics; takes the state apart."""
    _drop_metrics(state)
    parts = {name: state.pop(name) for name in _PARTS}
    return {**parts, _REST: state}


def join_parts(parts: Any) -> dict[str, Any] | None:
    """The state that ``split_parts`` took apart; None where these are not its parts."""
    if not isinstance(parts, dict) or not {*_PARTS, _REST} <= parts.keys():
        return None
    return {**parts[_REST], **{name: parts[name] for name in _PARTS}}


def hash_parts(parts: Mapping[str, Any]) -> dict[str, str]:
    """Sha256 by part; of RLlib's own only the local runner's worlds, since the rest counts from its metrics."""
    worlds = (parts[_REST].get(COMPONENT_ENV_RUNNER) or {}).get(WORLDS_KEY)
    return {name: compute_state_hash(parts[name]) for name in _PARTS} | {WORLDS_KEY: compute_state_hash(worlds)}


def _drop_metrics(state: Any) -> None:
    if isinstance(state, dict):
        state.pop(NOT_IN_CHECKPOINTS, None)
        for part in state.values():
            _drop_metrics(part)

"""The only home of MLflow: runs, the model registry, champion and challenger.

Importing this package does not import MLflow; opening a run or the registry does, and takes seconds.
"""

from __future__ import annotations

from gaelp_rl.tracking.connection import SAFE_ENVIRONMENT, connect, make_tracking_uri, tracking_uri_hidden
from gaelp_rl.tracking.datasets import RecordedDataset
from gaelp_rl.tracking.environment import GitState, load_git_state, make_environment_tags
from gaelp_rl.tracking.evidence import Evidence
from gaelp_rl.tracking.model_card import make_model_card
from gaelp_rl.tracking.references import is_reference
from gaelp_rl.tracking.registry import CHALLENGER, CHAMPION, ModelRegistry, RegisteredPolicy
from gaelp_rl.tracking.tracker import PARENT_TAG, Tracker, resume_run, start_run
from gaelp_rl.tracking.versions import VersionRecord

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "PARENT_TAG",
    "SAFE_ENVIRONMENT",
    "Evidence",
    "GitState",
    "ModelRegistry",
    "RecordedDataset",
    "RegisteredPolicy",
    "Tracker",
    "VersionRecord",
    "connect",
    "is_reference",
    "load_git_state",
    "make_environment_tags",
    "make_model_card",
    "make_tracking_uri",
    "resume_run",
    "start_run",
    "tracking_uri_hidden",
]

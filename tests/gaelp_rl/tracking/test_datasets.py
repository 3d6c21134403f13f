from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.tracking import RecordedDataset, Tracker, connect

WORLDS = RecordedDataset(
    name="campaign-test",
    context="test",
    source_type="simulated-worlds",
    source={"family": {"name": "campaign", "days": 28}, "split": "test", "seeds": "0 to 199"},
    profile={"worlds": 200},
)


def test_digest__follows_the_source_alone() -> None:
    assert len(WORLDS.digest) == 16
    assert replace(WORLDS, name="other", profile={}).digest == WORLDS.digest
    assert replace(WORLDS, source=dict(reversed(WORLDS.source.items()))).digest == WORLDS.digest
    assert replace(WORLDS, source={**WORLDS.source, "seeds": "0 to 198"}).digest != WORLDS.digest


@pytest.mark.integration
def test_log_datasets__inputs_of_the_run_once_each(tracking_config: TrackingConfig, tracker: Tracker) -> None:
    tracker.log_datasets([WORLDS, replace(WORLDS, name="campaign-train", context="training")])
    tracker.log_datasets([WORLDS])
    inputs = connect(tracking_config).get_run(tracker.run_id).inputs.dataset_inputs
    found = {entry.dataset.name: entry for entry in inputs}
    assert len(inputs) == len(found) == 2
    assert {name: entry.tags[0].value for name, entry in found.items()} == {
        "campaign-test": "test",
        "campaign-train": "training",
    }
    assert json.loads(found["campaign-test"].dataset.source) == WORLDS.source
    assert found["campaign-test"].dataset.digest == WORLDS.digest

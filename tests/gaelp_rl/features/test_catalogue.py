"""The features in force: their order is frozen, because stored policies depend on it."""

from __future__ import annotations

import numpy as np

from gaelp_rl.control.reference import REFERENCE_FEATURES
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.features.catalogue import (
    CHANNEL_FEATURES,
    CONTROLLER_FEATURES,
    GLOBAL_FEATURES,
    NUM_CONTROLLER_FEATURES,
    OBSERVATION_SCHEMA,
)


def test_catalogue__every_channel_has_the_same_features_in_the_same_order() -> None:
    by_channel = {
        channel: [f.name.removeprefix(f"{channel}.") for f in CHANNEL_FEATURES if f.name.startswith(f"{channel}.")]
        for channel in CHANNELS
    }
    assert all(names == by_channel[CHANNELS[0]] for names in by_channel.values())
    assert len(CHANNEL_FEATURES) == 4 * 31


def test_catalogue__every_name_says_whose() -> None:
    owners = {name.partition(".")[0] for name in OBSERVATION_SCHEMA.names}
    assert owners == {*CHANNELS, "global"}
    assert OBSERVATION_SCHEMA.size == len(CHANNEL_FEATURES) + len(GLOBAL_FEATURES) + NUM_CONTROLLER_FEATURES == 154


def test_catalogue__ends_with_what_the_reference_controller_supplies() -> None:
    assert tuple(feature.name for feature in CONTROLLER_FEATURES) == REFERENCE_FEATURES
    assert OBSERVATION_SCHEMA.names[-len(REFERENCE_FEATURES) :] == REFERENCE_FEATURES


def test_catalogue__ranges_suit_a_network() -> None:
    assert (np.abs(OBSERVATION_SCHEMA.low) <= 3.0).all()
    assert (np.abs(OBSERVATION_SCHEMA.high) <= 3.0).all()


def test_catalogue__is_version_one() -> None:
    """Stored policies and replay files carry this hash: append features and count the version up instead."""
    assert OBSERVATION_SCHEMA.version == 1
    assert OBSERVATION_SCHEMA.hash == "cb18a8ed5ffab85c3cf5925a01065ca675574d686472b97b95e96556b166c6cb"

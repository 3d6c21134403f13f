"""Observed and simulated figures of an account side by side, on the same hours and readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gaelp_rl.domain.channels import CHANNELS, Channel
from gaelp_rl.domain.money import MICROS
from gaelp_rl.domain.reports import FloatArray, IntArray
from gaelp_rl.response.observations import AccountObservations, ChannelObservations

__all__ = ["FIGURES", "HourlyFigures", "SimulatedAccount", "SimulatedRecord", "count_observed", "count_simulated"]

FIGURES = ("impressions", "clicks", "spend", "conversions")
"""What is compared."""


class SimulatedRecord(Protocol):
    """A record of simulated worlds; see ``envs.market.recorder.MarketRecord``."""

    @property
    def impressions(self) -> IntArray:
        """int64 [worlds, hours, channels, devices]."""

    @property
    def clicks(self) -> IntArray:
        """int64 [worlds, hours, channels, devices]."""

    @property
    def spend_micros(self) -> IntArray:
        """int64 [worlds, hours, channels, devices]."""

    @property
    def arrivals(self) -> IntArray:
        """int64 [conversions, 5]: world, click hour, channel, device, age."""


@dataclass(frozen=True, slots=True)
class HourlyFigures:
    """One channel's hours in one or more worlds.

    Attributes:
        hour: int64 [hours]; since the account's first midnight.
        figures: by name of ``FIGURES``, float64 [worlds, hours].
    """

    hour: IntArray
    figures: Mapping[str, FloatArray]


SimulatedAccount = Mapping[Channel, HourlyFigures]
"""Simulated figures by channel."""


def count_observed(one: ChannelObservations) -> HourlyFigures:
    """A channel's reports as figures of one world; conversions as they were last read."""
    conversions = np.bincount(one.arrivals.hour_index, one.arrivals.conversions, minlength=one.hour.size)
    sums = {"impressions": one.impressions, "clicks": one.clicks, "spend": one.spend}
    figures = {name: by_device.sum(axis=1)[None] for name, by_device in sums.items()}
    return HourlyFigures(one.hour, figures | {"conversions": conversions[None]})


def count_simulated(record: SimulatedRecord, observed: AccountObservations, skipped: int) -> SimulatedAccount:
    """Simulated figures of the hours that were observed, conversions by the age at which those were read.

    Args:
        record: simulated worlds.
        observed: the account.
        skipped: simulated hours before the account's first midnight.
    """
    num_worlds = record.clicks.shape[0]
    account = {}
    for c, channel in enumerate(CHANNELS):
        if channel not in observed.channels:
            continue
        one = observed.channels[channel]
        newest = np.full(record.clicks.shape[1], -1.0)
        np.maximum.at(newest, one.hour[one.arrivals.hour_index] + skipped, one.arrivals.age_to)
        world, hour, of_channel, _, age = record.arrivals.T
        seen = (of_channel == c) & (age <= newest[hour])
        conversions = np.zeros((num_worlds, len(newest)))
        np.add.at(conversions, (world[seen], hour[seen]), 1.0)
        at = one.hour + skipped
        account[channel] = HourlyFigures(
            one.hour,
            {
                "impressions": record.impressions[:, at, c].sum(axis=2).astype(np.float64),
                "clicks": record.clicks[:, at, c].sum(axis=2).astype(np.float64),
                "spend": record.spend_micros[:, at, c].sum(axis=2) / MICROS,
                "conversions": conversions[:, at],
            },
        )
    return account

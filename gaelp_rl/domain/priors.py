"""What is believed of each channel before its first report: the market's published averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaelp_rl.domain.channels import CHANNELS, NUM_CHANNELS
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import ConfigError

__all__ = ["ChannelPriors"]


@dataclass(frozen=True, slots=True)
class ChannelPriors:
    """Typical rates and price of each channel; log-ratio features are relative to them.

    Attributes:
        ctr: float64 [channels]; clicks per impression, 0 to 1.
        cpc: float64 [channels]; currency units per click.
        conversion_rate: float64 [channels]; conversions per click, 0 to 1.
    """

    ctr: FloatArray
    cpc: FloatArray
    conversion_rate: FloatArray

    def __post_init__(self) -> None:
        for name, high in (("ctr", 1.0), ("cpc", np.inf), ("conversion_rate", 1.0)):
            prior = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            if prior.shape != (NUM_CHANNELS,):
                msg = f"prior {name} has shape {prior.shape}; it needs one number per channel: {', '.join(CHANNELS)}"
                raise ConfigError(msg)
            for channel, number in zip(CHANNELS, prior, strict=True):
                if not (np.isfinite(number) and 0.0 < number <= high):
                    msg = f"prior {name} of {channel} is {number!r}; it must be positive and at most {high}"
                    raise ConfigError(msg)
            object.__setattr__(self, name, prior)

"""Priors: one positive number per channel."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.domain.priors import ChannelPriors
from gaelp_rl.errors import ConfigError

SOUND = {"ctr": np.full(4, 0.05), "cpc": np.full(4, 2.0), "conversion_rate": np.full(4, 0.04)}


@pytest.mark.parametrize("field", sorted(SOUND))
@pytest.mark.parametrize("number", [0.0, -1.0, np.nan, np.inf])
def test_channel_priors__name_the_channel_whose_prior_is_unusable(field, number) -> None:
    broken = SOUND[field].copy()
    broken[2] = number
    with pytest.raises(ConfigError, match=f"prior {field} of tiktok"):
        ChannelPriors(**SOUND | {field: broken})


def test_channel_priors__need_every_channel_and_rates_up_to_one() -> None:
    with pytest.raises(ConfigError, match="google, meta, tiktok, microsoft"):
        ChannelPriors(**SOUND | {"cpc": np.ones(3)})
    with pytest.raises(ConfigError, match="prior ctr of google"):
        ChannelPriors(**SOUND | {"ctr": np.full(4, 1.5)})
    assert ChannelPriors(**SOUND | {"cpc": [1, 2, 3, 4]}).cpc.dtype == np.float64

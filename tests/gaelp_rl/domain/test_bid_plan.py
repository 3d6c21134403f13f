"""One account's plan: absolute, complete, and the exact twin of its row in a batch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaelp_rl.domain.bid_plan import BidPlan, ChannelPlan, PlanStatus
from gaelp_rl.domain.channels import CHANNEL_BID_KIND, CHANNELS, DEVICES, BidKind, Channel, Device
from gaelp_rl.domain.plans import make_bid_plan, make_plan_batch
from gaelp_rl.errors import PlanError

HOUR = datetime(2026, 1, 2, 7, tzinfo=UTC)


def _make_channels() -> dict[Channel, ChannelPlan]:
    return {channel: ChannelPlan(1_500_000, CHANNEL_BID_KIND[channel], 125_000_000) for channel in CHANNELS}


def _make_plan(**changes: object) -> BidPlan:
    fields: dict[str, object] = {
        "account": "acme",
        "made_at": HOUR - timedelta(minutes=5),
        "valid_for_hour": HOUR,
        "currency": "USD",
        "channels": _make_channels(),
    }
    return BidPlan(**(fields | changes))  # type: ignore[arg-type]


_MICROS = st.integers(1, 10**9)
_CHANNEL_PLANS = {
    channel: st.builds(
        ChannelPlan,
        bid_micros=_MICROS,
        kind=st.just(CHANNEL_BID_KIND[channel]),
        daily_budget_micros=st.integers(0, 10**12),
        device_modifiers=st.fixed_dictionaries({device: st.floats(0.1, 10.0) for device in DEVICES}),
        status=st.sampled_from(PlanStatus),
    )
    for channel in CHANNELS
}


@given(st.fixed_dictionaries(_CHANNEL_PLANS))
def test_bid_plan__survives_the_way_to_arrays_and_back(channels) -> None:
    plan = _make_plan(channels=channels)
    again = make_bid_plan(
        make_plan_batch(plan),
        0,
        account=plan.account,
        currency=plan.currency,
        made_at=plan.made_at,
        valid_for_hour=plan.valid_for_hour,
    )
    assert again == plan


def test_make_plan_batch__puts_channels_and_devices_on_their_axes() -> None:
    channels = _make_channels()
    channels[Channel.TIKTOK] = replace(
        channels[Channel.TIKTOK],
        bid_micros=2_000_000,
        device_modifiers={Device.MOBILE: 1.0, Device.DESKTOP: 0.5, Device.TABLET: 2.0},
        status=PlanStatus.PAUSED,
    )
    batch = make_plan_batch(_make_plan(channels=channels))
    assert batch.num_worlds == 1
    assert batch.bid_micros.tolist() == [[1_500_000, 1_500_000, 2_000_000, 1_500_000]]
    assert batch.active.tolist() == [[True, True, False, True]]
    assert batch.device_modifier[0, 2].tolist() == [1.0, 0.5, 2.0]
    assert batch.bid_micros.dtype == np.int64


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bid_micros": -1}, "meta bid_micros is -1"),
        ({"bid_micros": 1.5}, "meta bid_micros is 1.5"),
        ({"bid_micros": 0}, "meta bid_micros is 0 while the channel is enabled"),
        ({"bid_micros": 2**63}, "meta bid_micros"),
        ({"daily_budget_micros": -5}, "meta daily_budget_micros is -5"),
        ({"kind": BidKind.CPC}, "meta kind is"),
        ({"device_modifiers": {Device.MOBILE: 1.0}}, "meta device_modifiers"),
        ({"device_modifiers": dict.fromkeys(DEVICES, float("nan"))}, "meta device_modifiers"),
        ({"device_modifiers": dict.fromkeys(DEVICES, 0.0)}, "meta device_modifiers"),
    ],
)
def test_bid_plan__names_the_channel_and_field_that_cannot_be_carried_out(changes, words) -> None:
    channels = _make_channels()
    channels[Channel.META] = replace(channels[Channel.META], **changes)
    with pytest.raises(PlanError, match=words):
        _make_plan(channels=channels)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"account": ""}, "account"),
        ({"currency": "usd"}, "currency"),
        ({"made_at": datetime(2026, 1, 2, 6)}, "made_at"),  # noqa: DTZ001 - a naive time is the case
        ({"made_at": HOUR + timedelta(hours=1)}, "made_at .* after"),
        ({"channels": {}}, "no google"),
        ({"channels": _make_channels() | {"bing": None}}, "unknown channel 'bing'"),
    ],
)
def test_bid_plan__refuses_a_plan_without_a_sound_head(changes, words) -> None:
    with pytest.raises(PlanError, match=words):
        _make_plan(**changes)


def test_bid_plan__cannot_be_changed_after_it_was_checked() -> None:
    channels = _make_channels()
    plan = _make_plan(channels=channels)
    del channels[Channel.GOOGLE]
    assert Channel.GOOGLE in plan.channels
    with pytest.raises(TypeError):
        plan.channels[Channel.GOOGLE] = None  # type: ignore[index]

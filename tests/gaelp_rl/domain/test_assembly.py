"""The assembler: whatever arrives, in whatever order, the batches add up to the latest rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaelp_rl.domain.assembly import ReportAssembler
from gaelp_rl.domain.channels import CHANNELS, Channel, Device
from gaelp_rl.domain.conversion_delay import ConversionDelay
from gaelp_rl.domain.hourly_report import ConversionSource, HourlyReport
from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.numbers import CensoredShare, Censoring
from gaelp_rl.domain.reports import ReportingProfile
from gaelp_rl.errors import DataError

BERLIN = ZoneInfo("Europe/Berlin")
FIRST_DAY = date(2026, 3, 27)
"""A Friday; the clocks go forward on Sunday, 29 March, at 02:00 local time."""
MIDNIGHT = datetime(2026, 3, 26, 23, tzinfo=UTC)
PROFILE = ReportingProfile(
    lag_hours=np.array([0, 1, 0, 2]),
    conversion_lag_hours=np.array([3, 0, 0, 3]),
    device_split=np.array([True, False, False, True]),
    hourly_conversions=np.array([True, False, True, True]),
    impression_share=np.array([True, False, False, True]),
)


def _make_assembler(zone: ZoneInfo = BERLIN, first_day: date = FIRST_DAY) -> ReportAssembler:
    return ReportAssembler("acme", "EUR", zone, first_day, PROFILE)


def _make_row(hours: int = 0, read_after: float = 1.0, **changes: object) -> HourlyReport:
    """A row of the hour that starts ``hours`` after the first midnight, read some hours later."""
    hour = MIDNIGHT + timedelta(hours=hours)
    row = HourlyReport(
        account="acme",
        channel=Channel.GOOGLE,
        campaign="c1",
        creative="a1",
        device=Device.MOBILE,
        hour=hour,
        as_of=hour + timedelta(hours=read_after),
        impressions=100,
        clicks=10,
        spend_micros=12_500_000,
        conversions=1.0,
        conversion_value_micros=100_000_000,
        conversion_source=ConversionSource.PLATFORM,
        currency="EUR",
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def _at(hours: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hours)


_READINGS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from(CHANNELS),
        st.sampled_from(["a1", "a2"]),
        st.sampled_from([None, *Device]),
        st.integers(0, 20),
        st.integers(0, 20),
        st.integers(0, 50),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(_READINGS, st.sets(st.integers(0, 70)), st.randoms(use_true_random=False))
def test_assemble__sums_of_all_batches_equal_the_latest_rows(readings, read_hours, shuffle) -> None:
    """Restated up or down, out of order, repeated, late or during an outage: nothing is lost or doubled.

    Slow twin: the newest reading of every key, added up by channel. It spans the missing hour of
    29 March. Two readings of one key are told apart by their minute.
    """
    rows = [
        _make_row(
            hour,
            1 + delay + minute / 60,
            channel=channel,
            creative=creative,
            device=device,
            impressions=clicks * 3,
            clicks=clicks,
            conversions=clicks / 2,
            spend_micros=clicks * 700,
        )
        for minute, (hour, channel, creative, device, delay, clicks, _) in enumerate(readings)
    ]
    assembler = _make_assembler()
    batches = []
    for read in sorted(read_hours | {150}):
        window = [row for row in rows if row.as_of <= _at(read)]
        shuffle.shuffle(window)
        batches += assembler.assemble(window, _at(read))
    latest: dict[object, HourlyReport] = {}
    for row in sorted(rows, key=lambda row: row.as_of):
        latest[row.key] = row
    for c, channel in enumerate(CHANNELS):
        of_channel = [row for row in latest.values() if row.channel is channel]
        assert sum(b.conversions[0, c] for b in batches) == sum(row.conversions for row in of_channel)
        for name in ("impressions", "clicks", "spend_micros"):
            assert sum(getattr(b, name)[0, c] for b in batches) == sum(getattr(row, name) for row in of_channel)
    assert [batch.hour for batch in batches] == list(range(151 + 1))
    assert assembler.num_pending == 0


def test_assemble__passes_on_growing_conversions_as_increments() -> None:
    assembler = _make_assembler()
    assembler.assemble([], _at(0))
    [first] = assembler.assemble([_make_row(0, 1.0)], _at(1))
    [grown] = assembler.assemble([_make_row(0, 2.0, conversions=3.5)], _at(2))
    [shrunk] = assembler.assemble([_make_row(0, 3.0, conversions=2.0)], _at(3))
    assert [b.conversions[0, 0] for b in (first, grown, shrunk)] == [1.0, 2.5, -1.5]
    assert [b.clicks[0, 0] for b in (first, grown, shrunk)] == [10, 0, 0]
    assert [b.spend_micros[0, 0] for b in (first, grown, shrunk)] == [12_500_000, 0, 0]


@pytest.mark.parametrize(("channel", "lag"), [(Channel.TIKTOK, 0), (Channel.META, 1), (Channel.MICROSOFT, 2)])
def test_assemble__holds_a_row_back_until_its_channels_lag_has_passed(channel, lag) -> None:
    """So that the ledger's hours mean the same in every account, whoever answers early."""
    assembler = _make_assembler()
    row = _make_row(5, 1.0, channel=channel)
    batches = {b.hour: b for read in range(12) for b in assembler.assemble([row] if read >= 6 else [], _at(read))}
    clicks = {hour: int(batch.clicks.sum()) for hour, batch in batches.items()}
    assert clicks == {hour: 10 if hour == 6 + lag else 0 for hour in range(12)}


def test_assemble__ignores_older_readings_of_a_row() -> None:
    assembler = _make_assembler()
    assembler.assemble([_make_row(0, 5.0, conversions=3.0)], _at(5))
    [batch] = assembler.assemble([_make_row(0, 1.0, conversions=1.0)], _at(6))
    assert not batch.conversions.any()


def test_assemble__fills_the_hours_of_an_outage() -> None:
    assembler = _make_assembler()
    assembler.assemble([], _at(0))
    batches = assembler.assemble([_make_row(0, 7.5), _make_row(3, 4.5)], _at(7.5))
    assert [batch.hour for batch in batches] == [1, 2, 3, 4, 5, 6, 7]
    assert [int(batch.clicks.sum()) for batch in batches] == [10, 0, 0, 10, 0, 0, 0]
    assert assembler.assemble([], _at(7.9)) == ()


def test_assemble__counts_wall_clock_hours_when_clocks_go_forward() -> None:
    """29 March has 23 hours: after 01:00 comes 03:00, and ledger hour 50 is empty."""
    assembler = _make_assembler()
    assert assembler.compute_ledger_hour(_at(49)) == 49
    assert assembler.compute_ledger_hour(_at(50)) == 51
    assert assembler.compute_ledger_hour(_at(71)) == 72
    assembler.assemble([], _at(49))
    batches = assembler.assemble([_make_row(49, 1.0)], _at(50))
    assert [(batch.hour, int(batch.clicks.sum())) for batch in batches] == [(50, 10), (51, 0)]


def test_assemble__merges_the_repeated_hour_when_clocks_go_back() -> None:
    """25 October has 25 hours: 02:00 comes twice; its two rows share one ledger hour, none is lost."""
    first_day, midnight = date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC)
    assembler = _make_assembler(first_day=first_day)
    rows = [
        replace(_make_row(), hour=midnight + timedelta(hours=h), as_of=midnight + timedelta(hours=h + 1))
        for h in range(5)
    ]
    clicks = []
    for read in range(6):
        batches = assembler.assemble(rows[:read], midnight + timedelta(hours=read))
        clicks.append([(batch.hour, int(batch.clicks.sum())) for batch in batches])
    assert clicks == [[(0, 0)], [(1, 10)], [(2, 10)], [], [(3, 20)], [(4, 10)]]


def test_assemble__feeds_a_ledger() -> None:
    ledger = ReportLedger(1, PROFILE, ConversionDelay())
    assembler = _make_assembler()
    for batch in assembler.assemble([_make_row(h, 200 - h) for h in range(100)], _at(200)):
        ledger.observe(batch)
    assert ledger.sum_28d[0, 0, :4].tolist() == [10_000.0, 1000.0, 1250.0, 100.0]
    assert ledger.day == 8


def test_assemble__splits_devices_only_where_the_channel_does() -> None:
    assembler = _make_assembler()
    rows = [
        _make_row(0, 1.0, device=Device.DESKTOP, clicks=4),
        _make_row(0, 1.0, device=None, creative="other", clicks=3),
        _make_row(0, 1.0, channel=Channel.TIKTOK, device=None),
    ]
    batch = assembler.assemble(rows, _at(1))[-1]
    assert batch.clicks[0].tolist() == [7, 0, 10, 0]
    assert batch.device_clicks[0, 0].tolist() == [0.0, 4.0, 0.0]
    assert np.isnan(batch.device_clicks[0, [1, 2]]).all()
    assert batch.device_impressions[0, 3].tolist() == [0.0, 0.0, 0.0]


def test_assemble__publishes_the_share_of_the_day_before_once_and_again_when_restated() -> None:
    """Won 100 + 100 of 400 + 1,600 eligible: 0.1; lost to rank (0.2 * 400 + 0.7 * 1,600) / 2,000 = 0.6."""
    rows = [
        _make_row(3, 1.0, eligible_impressions=400, lost_share_rank=CensoredShare(0.2)),
        _make_row(20, 1.0, eligible_impressions=1600, lost_share_rank=CensoredShare(0.7)),
        _make_row(21, 1.0, channel=Channel.META, eligible_impressions=400),
    ]
    assembler = _make_assembler()
    shares = {}
    for read in range(30):
        seen = [row for row in rows if row.as_of <= _at(read)]
        if read == 28:
            seen.append(replace(rows[0], as_of=_at(28), eligible_impressions=200, impressions=200))
        for batch in assembler.assemble(seen, _at(read)):
            for c in np.flatnonzero(~np.isnan(batch.impression_share[0])):
                losses = (batch.lost_share_budget[0, c], batch.lost_share_rank[0, c])
                shares[batch.hour, int(c)] = (batch.impression_share[0, c], *losses)
    assert set(shares) == {(24, 0), (28, 0)}
    assert shares[24, 0][0] == pytest.approx(0.1)
    assert shares[24, 0][2] == pytest.approx(0.6)
    assert np.isnan(shares[24, 0][1])
    assert shares[28, 0][0] == pytest.approx(300 / 1800)


def test_assemble__censors_shares_as_the_platforms_do() -> None:
    above = CensoredShare(0.95, Censoring.ABOVE)
    row = _make_row(3, 1.0, eligible_impressions=10_000, lost_share_rank=above)
    batch = _make_assembler().assemble([row], _at(24))[-1]
    assert batch.impression_share[0, 0] == 0.1
    assert batch.lost_share_rank[0, 0] == 0.9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"account": "other"}, "account 'other'"),
        ({"currency": "USD"}, "currency 'USD'"),
        ({"as_of": _at(9)}, "after its snapshot"),
        ({"hour": _at(-1)}, "before the first day"),
        ({"hour": _at(0.5)}, "not the start of an hour in Europe/Berlin"),
    ],
)
def test_assemble__refuses_a_snapshot_that_cannot_be_right_and_keeps_nothing_of_it(changes, words) -> None:
    assembler = _make_assembler()
    with pytest.raises(DataError, match=words):
        assembler.assemble([_make_row(0, 1.0), _make_row(1, 1.0, **changes)], _at(5))
    assert assembler.num_pending == 0

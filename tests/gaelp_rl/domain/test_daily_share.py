"""Impression shares of whole days, and how the assembler weighs them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gaelp_rl.domain.assembly import ReportAssembler
from gaelp_rl.domain.channels import Channel
from gaelp_rl.domain.daily_share import DailyShare
from gaelp_rl.domain.numbers import CensoredShare
from gaelp_rl.domain.platform_rules import make_reporting_profile
from gaelp_rl.errors import DataError, FieldError

DAY = date(2026, 1, 2)
MIDNIGHT = datetime(2026, 1, 3, tzinfo=UTC)


def make_share(campaign="c1", impressions=100, share=0.5, hours=14, **changes):
    made = DailyShare(
        account="acme",
        channel=Channel.GOOGLE,
        campaign=campaign,
        day=DAY,
        as_of=MIDNIGHT + timedelta(hours=hours),
        impressions=impressions,
        impression_share=CensoredShare(share),
        lost_share_budget=CensoredShare(0.2),
        lost_share_rank=CensoredShare(0.3),
    )
    return replace(made, **changes)


def assemble(*shares, hours=14):
    assembler = ReportAssembler("acme", "USD", ZoneInfo("UTC"), DAY, make_reporting_profile())
    return assembler.assemble([], MIDNIGHT + timedelta(hours=hours), shares)


def find_published(batches):
    """The batch that carries a share; None where none does."""
    return next((batch for batch in batches if not np.isnan(batch.impression_share[0, 0])), None)


def test_assembler__weighs_campaigns_by_what_they_could_have_won():
    """100 of 200 and 300 of 400: 400 of 600; losses are weighted alike."""
    batches = assemble(
        make_share("c1", 100, 0.5),
        make_share("c2", 300, 0.75, lost_share_budget=CensoredShare(0.05), lost_share_rank=None),
    )
    batch = find_published(batches)
    assert batch.impression_share[0, 0] == pytest.approx(400 / 600)
    assert batch.lost_share_budget[0, 0] == pytest.approx((200 * 0.2 + 400 * 0.05) / 600)
    assert batch.lost_share_rank[0, 0] == pytest.approx(0.3)


def test_assembler__publishes_a_restated_share_and_no_older_one():
    assembler = ReportAssembler("acme", "USD", ZoneInfo("UTC"), DAY, make_reporting_profile())
    first = assembler.assemble([], MIDNIGHT + timedelta(hours=14), [make_share(share=0.5)])
    second = assembler.assemble([], MIDNIGHT + timedelta(hours=15), [make_share(share=0.4, hours=15)])
    third = assembler.assemble([], MIDNIGHT + timedelta(hours=16), [make_share(share=0.5, hours=14)])
    assert find_published(first).impression_share[0, 0] == 0.5
    assert find_published(second).impression_share[0, 0] == 0.4
    assert find_published(third) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"account": "other"}, "one per account"), ({"as_of": MIDNIGHT + timedelta(hours=20)}, "check the clock")],
)
def test_assembler__refuses_shares_that_cannot_be_its(changes, says):
    with pytest.raises(DataError, match=says):
        assemble(make_share(**changes))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"impression_share": CensoredShare(0.0)}, "impression_share"),
        ({"impressions": -1}, "impressions"),
        ({"as_of": datetime(2026, 1, 3, tzinfo=ZoneInfo("Asia/Tokyo"))}, "as_of"),
    ],
)
def test_share__that_cannot_be_is_refused_by_field(changes, field):
    with pytest.raises(FieldError, match=field):
        make_share(**changes)


def test_eligible_impressions__follow_from_the_share():
    assert make_share(impressions=30, share=0.25).eligible_impressions == 120

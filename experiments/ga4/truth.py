"""``truth.json``: what the generator knows and no export says, for tests and for checks of a reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.ga4.account import Account
from experiments.ga4.paid import PaidClicks
from experiments.ga4.settings import ExportSettings
from gaelp_rl.domain.channels import CHANNELS, DEVICES, NUM_CHANNELS, NUM_DEVICES
from gaelp_rl.domain.reports import IntArray

__all__ = ["count_cells", "describe_paid", "write_truth"]


def count_cells(clicks: PaidClicks, which: NDArray[np.bool_]) -> IntArray:
    """Clicks by channel and device, int64 [channels, devices].

    Args:
        clicks: all clicks.
        which: bool [clicks]; those to count.
    """
    cell = clicks.channel.astype(np.int64) * NUM_DEVICES + clicks.device
    return np.bincount(cell[which], minlength=NUM_CHANNELS * NUM_DEVICES).reshape(NUM_CHANNELS, NUM_DEVICES)


def describe_paid(account: Account, clicks: PaidClicks, horizon: int, exported: IntArray) -> dict[str, Any]:
    """Per channel and device: clicks, landings, conversions and rates.

    Args:
        account: the account.
        clicks: its clicks as people.
        horizon: microseconds UTC at which the export was taken.
        exported: int64 [channels, devices]; purchases of people from this cell that the newest tables
            hold with a user id.
    """
    everyone = np.ones(len(clicks), dtype=np.bool_)
    counts = {
        "clicks": count_cells(clicks, everyone),
        "landed": count_cells(clicks, clicks.landed),
        "landed_with_consent": count_cells(clicks, clicks.landed & clicks.consented),
        "conversions": count_cells(clicks, clicks.conversion >= 0),
        "conversions_by_the_end": count_cells(clicks, (clicks.conversion >= 0) & (clicks.conversion < horizon)),
        "conversions_exported": exported,
    }
    return {
        str(channel): {
            str(device): {name: int(table[c, d]) for name, table in counts.items()}
            | {
                "expected_conversions": round(float(account.expected_conversions[c, d]), 6),
                "expected_cvr": _divide(float(account.expected_conversions[c, d]), int(counts["clicks"][c, d])),
                "realised_cvr": _divide(int(counts["conversions"][c, d]), int(counts["clicks"][c, d])),
            }
            for d, device in enumerate(DEVICES)
        }
        for c, channel in enumerate(CHANNELS)
    }


def _divide(part: float, whole: int) -> float | None:
    return round(part / whole, 8) if whole else None


def write_truth(path: Path, settings: ExportSettings, account: Account, **parts: Any) -> None:
    """Writes what is known.

    Args:
        path: of the file.
        settings: of the export.
        account: the account; its delays are written.
        parts: further sections, as JSON takes them.
    """
    delays = {
        str(channel): {
            "immediate": delay.immediate,
            "weights": list(delay.weights),
            "mean_hours": [round(hours, 6) for hours in delay.mean_hours],
        }
        for channel, delay in zip(CHANNELS, account.delays, strict=True)
    }
    truth = {
        "settings": settings.model_dump(mode="json"),
        "time_zones": {"property": settings.property_time_zone, "account": "UTC"},
        "key_events": [{"name": "purchase", "counting_method": "once_per_event"}],
        "currency": "USD",
        "delays": delays,
    }
    path.write_text(json.dumps(truth | parts, indent=1) + "\n", encoding="utf-8")

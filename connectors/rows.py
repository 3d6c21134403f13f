"""Wire rows on their way to contract rows: repeats dropped, finer devices added up, bad ones kept with their error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from connectors.reports import FetchedReports
from connectors.state import Account
from gaelp_rl.domain.daily_share import DailyShare
from gaelp_rl.errors import DataError

__all__ = ["RowCollector"]

_COUNTS = ("impressions", "clicks", "spend_micros", "conversions", "conversion_value_micros")


class RowCollector:
    """Collects one report.

    Platforms name devices more finely than the contract (iPhone, Android phone, ...). Rows of one
    campaign, creative, hour and contract device are added up; rows that agree in the platform's own
    device as well are the same row sent twice.

    Attributes:
        quarantined: wire rows that cannot be used, each with its error.
        duplicates: wire rows that repeated another exactly.
    """

    def __init__(self) -> None:
        self.quarantined: list[tuple[Mapping[str, object], DataError]] = []
        self.duplicates = 0
        self._wire: dict[tuple[object, ...], Mapping[str, Any]] = {}

    def add(self, row: Mapping[str, Any], wire_device: str = "") -> None:
        """Takes one row in the contract's columns.

        Args:
            row: counts are whole numbers, conversions a float; ``device`` is the contract's or None.
            wire_device: the platform's own name of the device.
        """
        place = (row["campaign"], row["creative"], row["device"], row["hour"], wire_device)
        first = self._wire.setdefault(place, row)
        if first is row:
            return
        if first == row:
            self.duplicates += 1
        else:
            message = f"two rows of {place} disagree; the first was kept, read the report again"
            self.quarantined.append((row, DataError(message)))

    def reject(self, row: Mapping[str, object], error: DataError) -> None:
        """Keeps a wire row that could not be read."""
        self.quarantined.append((row, error))

    def make_reports(
        self, platform: str, account: Account, as_of: datetime, shares: Iterable[DailyShare] = ()
    ) -> FetchedReports:
        """One read: all rows, and the impression shares that came with them, each once."""
        return FetchedReports(
            platform,
            account.id,
            account.currency,
            as_of,
            self.make_rows(),
            tuple(dict.fromkeys(shares)),
            quarantined=tuple(self.quarantined),
            duplicates=self.duplicates,
        )

    def make_rows(self) -> tuple[Mapping[str, object], ...]:
        """One row per campaign, creative, hour and contract device, by hour, however the report came in parts."""
        sums: dict[tuple[object, ...], dict[str, Any]] = {}
        for (*place, _), row in self._wire.items():
            known = sums.get(tuple(place))
            if known is None:
                sums[tuple(place)] = dict(row)
            else:
                for name in _COUNTS:
                    if name in row:
                        known[name] += row[name]
        return tuple(sorted(sums.values(), key=_find_place))


def _find_place(row: Mapping[str, Any]) -> tuple[object, ...]:
    return row["hour"], row["campaign"], row["creative"], row["device"] or ""

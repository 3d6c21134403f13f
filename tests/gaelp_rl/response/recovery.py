"""Fits of markets with known parameters, and how often the truth lies in the stated intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from experiments.report_rows import make_observations
from gaelp_rl.config.market import FamilyConfig
from gaelp_rl.domain.channels import DEVICES
from gaelp_rl.response.channel_fit import WEEKDAYS
from gaelp_rl.response.market_fit import fit_market
from gaelp_rl.response.parameters import FittedParameter
from tests.gaelp_rl.response.markets import draw_market, make_varied_record

__all__ = ["Recovery", "find_truth", "measure_recovery"]


@dataclass
class Recovery:
    """Of one kind of parameter: whether intervals held the truth, how wide they were, what was kept."""

    hits: list[bool] = field(default_factory=list)
    half_widths: list[float] = field(default_factory=list)
    kept: int = 0

    @property
    def coverage(self) -> float:
        """Share of fitted intervals that held the truth."""
        return float(np.mean(self.hits)) if self.hits else float("nan")


def find_truth(family: FamilyConfig, parameter: FittedParameter) -> float:
    """The number that made the reports, in the fit's own terms."""
    if parameter.channel == "account":
        delay = family.delay
        special = {
            ("delay.immediate", ""): delay.immediate,
            ("delay.fast_share_of_rest", ""): delay.weights[0] / (1.0 - delay.immediate),
            ("delay.mean_hours", "fast"): delay.mean_hours[0],
            ("delay.mean_hours", "slow"): delay.mean_hours[1],
        }
        found = special.get((parameter.name, parameter.index))
        return float(getattr(family, parameter.name)) if found is None else found
    table = getattr(family.calibration, parameter.channel)
    truth = getattr(table, parameter.name)
    if not parameter.index:
        return float(truth)
    if parameter.name in {"device_ctr_ratio", "device_conversion_ratio"}:
        truth = np.array(truth) / (np.array(truth) @ np.array(table.device_share))
    names = (*(str(device) for device in DEVICES), *WEEKDAYS)
    position = int(parameter.index) if parameter.index.isdigit() else names.index(parameter.index) % len(DEVICES)
    if parameter.index in WEEKDAYS:
        position = WEEKDAYS.index(parameter.index)
    return float(truth[position])


def measure_recovery(seeds: Iterable[int], with_plans: bool = True) -> dict[tuple[str, str], Recovery]:
    """Draws a market per seed, records an account in it, fits it and compares, by (channel, name)."""
    found: dict[tuple[str, str], Recovery] = defaultdict(Recovery)
    for seed in seeds:
        drawn = draw_market(seed)
        observed = make_observations(make_varied_record(drawn, seed), 0, with_plans)
        for parameter in fit_market(observed, "recovered").parameters:
            own = found[parameter.channel, parameter.name]
            if not parameter.is_fitted:
                own.kept += 1
                continue
            own.hits.append(parameter.low <= find_truth(drawn.family, parameter) <= parameter.high)
            own.half_widths.append(0.5 * float(np.log(parameter.high / max(parameter.low, 1e-9))))
    return found

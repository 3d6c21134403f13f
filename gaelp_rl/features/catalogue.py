"""The features in force: what each entry of an observation is, in the order of the vector.

The builder writes the entries in this order; a test holds the two together, name by name.
"""

from __future__ import annotations

from gaelp_rl.control.reference import REFERENCE_FEATURES
from gaelp_rl.domain.channels import CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.features.schema import FeatureSpec, ObservationSchema

__all__ = [
    "CHANNEL_FEATURES",
    "CONTROLLER_FEATURES",
    "COUNT_SCALING",
    "GLOBAL_FEATURES",
    "NUM_CONTROLLER_FEATURES",
    "OBSERVATION_SCHEMA",
    "SHARE_AGE_SCALING_HOURS",
]

COUNT_SCALING = 5.0
"""log1p of a count or of spend is divided by this: e^5 is about 150."""

SHARE_AGE_SCALING_HOURS = 48.0
"""Hours since an impression share was published are divided by this."""

_MAX_LOG_RATIO = 3.0
_MAX_COUNT = 3.0
_MIDDLE_SHARE = 0.5


def _log_ratio(name: str) -> FeatureSpec:
    return FeatureSpec(name, "log ratio", -_MAX_LOG_RATIO, _MAX_LOG_RATIO)


def _count(name: str, unit: str) -> FeatureSpec:
    return FeatureSpec(name, f"log1p {unit}", 0.0, _MAX_COUNT, COUNT_SCALING)


def _share(name: str, high: float = 1.0, neutral: float = 0.0) -> FeatureSpec:
    return FeatureSpec(name, "share", 0.0, high, neutral=neutral)


def _mask(name: str) -> FeatureSpec:
    return FeatureSpec(name, "1 where known", 0.0, 1.0)


def _signed(name: str, unit: str) -> FeatureSpec:
    return FeatureSpec(name, unit, -1.0, 1.0)


def _make_channel_features(channel: str) -> tuple[FeatureSpec, ...]:
    """What the reports and the plan say of one channel, in the order in which the builder writes."""
    rates = [f"{rate}_{days}d_log_ratio" for days in (7, 28) for rate in ("ctr", "cpc", "cvr", "cpa")]
    counts = ("impressions", "clicks", "spend", "conversions")
    return (
        *(_log_ratio(f"{channel}.{rate}") for rate in rates),
        _count(f"{channel}.clicks_28d_evidence", "clicks"),
        _count(f"{channel}.conversions_28d_evidence", "conversions"),
        *(_count(f"{channel}.{count}_{period}", count) for period in ("last_hour", "today") for count in counts),
        _share(f"{channel}.impression_share", neutral=_MIDDLE_SHARE),
        _share(f"{channel}.lost_share_budget"),
        _share(f"{channel}.lost_share_rank"),
        FeatureSpec(f"{channel}.impression_share_age", "hours", 0.0, 1.0, SHARE_AGE_SCALING_HOURS, neutral=1.0),
        _mask(f"{channel}.impression_share_known"),
        _share(f"{channel}.budget_utilisation_today", high=2.0),
        _signed(f"{channel}.pacing_error_today", "share of budget minus share of day"),
        _log_ratio(f"{channel}.mobile_to_desktop_ctr_log_ratio"),
        _mask(f"{channel}.device_split_known"),
        _log_ratio(f"{channel}.bid_log_ratio"),
        _share(f"{channel}.budget_share", high=2.0),
        _mask(f"{channel}.active"),
        FeatureSpec(f"{channel}.data_age", "hours", 0.0, 1.0, HOURS_PER_DAY),
    )


def _make_controller_feature(name: str) -> FeatureSpec:
    if name.endswith("_log_sd"):
        return FeatureSpec(name, "log standard deviation", 0.0, _MAX_LOG_RATIO)
    return _log_ratio(name)


CHANNEL_FEATURES: tuple[FeatureSpec, ...] = tuple(
    feature for channel in CHANNELS for feature in _make_channel_features(channel)
)
"""Reports and plan, channel by channel."""

GLOBAL_FEATURES: tuple[FeatureSpec, ...] = (
    _signed("global.hour_sin", "sine of the hour of day"),
    _signed("global.hour_cos", "cosine of the hour of day"),
    _signed("global.weekday_sin", "sine of the weekday"),
    _signed("global.weekday_cos", "cosine of the weekday"),
    _share("global.day_left", neutral=_MIDDLE_SHARE),
    _signed("global.budget_left_today", "share of the daily budget"),
    _signed("global.pacing_error_today", "share of the daily budget minus share of day"),
    _log_ratio("global.cpa_target_to_cpa_7d_log_ratio"),
    _log_ratio("global.cpa_target_to_cpa_28d_log_ratio"),
    _share("global.history_filled"),
)
"""Clock, budget and CPA of the whole account."""

CONTROLLER_FEATURES: tuple[FeatureSpec, ...] = tuple(_make_controller_feature(name) for name in REFERENCE_FEATURES)
"""What the reference controller has inferred from the same reports, channel by channel."""

NUM_CONTROLLER_FEATURES = len(CONTROLLER_FEATURES)

OBSERVATION_SCHEMA = ObservationSchema(version=1, features=CHANNEL_FEATURES + GLOBAL_FEATURES + CONTROLLER_FEATURES)
"""The schema that ``build_observation`` fills."""

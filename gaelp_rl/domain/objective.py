"""What the advertiser wants: the most conversions under a daily budget and a CPA target."""

from __future__ import annotations

from dataclasses import dataclass

from gaelp_rl.domain.money import MICROS, Micros
from gaelp_rl.errors import ConfigError

__all__ = ["Objective"]


@dataclass(frozen=True, slots=True)
class Objective:
    """The advertiser's objective; training may shape it, judgement never does.

    Attributes:
        daily_budget_micros: the most to spend over all channels on one account day.
        cpa_target_micros: the highest acceptable spend per conversion over 28 days.
        conversion_value_micros: what one conversion is worth to the advertiser; shown
            beside every ROAS, never part of the score.
        currency: ISO 4217 code of all three.
    """

    daily_budget_micros: Micros = 500 * MICROS
    cpa_target_micros: Micros = 100 * MICROS
    conversion_value_micros: Micros = 100 * MICROS
    currency: str = "USD"

    def __post_init__(self) -> None:
        for name in ("daily_budget_micros", "cpa_target_micros", "conversion_value_micros"):
            amount = getattr(self, name)
            if not isinstance(amount, int) or isinstance(amount, bool) or amount <= 0:
                msg = f"{name} is {amount!r}; it must be a positive whole number of micros"
                raise ConfigError(msg)
        if not (
            len(self.currency) == 3 and self.currency.isascii() and self.currency.isalpha() and self.currency.isupper()
        ):
            msg = f"currency is {self.currency!r}; it must be an ISO 4217 code such as 'USD'"
            raise ConfigError(msg)

    @property
    def daily_budget(self) -> float:
        """The daily budget in currency units, for maths only."""
        return self.daily_budget_micros / MICROS

    @property
    def cpa_target(self) -> float:
        """The CPA target in currency units, for maths only."""
        return self.cpa_target_micros / MICROS

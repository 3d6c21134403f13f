"""The objective: positive whole micros and a currency, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from gaelp_rl.domain.objective import Objective
from gaelp_rl.errors import ConfigError


def test_objective__converts_micros_to_units() -> None:
    objective = Objective(daily_budget_micros=500_250_000, cpa_target_micros=30_000_000)
    assert objective.daily_budget == 500.25
    assert objective.cpa_target == 30.0


@pytest.mark.parametrize("field", ["daily_budget_micros", "cpa_target_micros", "conversion_value_micros"])
@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "500", None, float("nan"), np.int64(5)])
def test_objective__names_the_amount_that_is_no_money(field, amount) -> None:
    with pytest.raises(ConfigError, match=field):
        Objective(**{field: amount})


@pytest.mark.parametrize("currency", ["usd", "US", "DOLLAR", "U5D", "ÄÖÜ", ""])
def test_objective__refuses_what_is_no_currency_code(currency) -> None:
    with pytest.raises(ConfigError, match="ISO 4217"):
        Objective(currency=currency)

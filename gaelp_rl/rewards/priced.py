"""Dense rewards that give money a price, so that the learner is not paid for overspending early."""

from __future__ import annotations

from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.errors import ConfigError

__all__ = ["compute_priced_reward"]


def compute_priced_reward(conversions: FloatArray, spend: FloatArray, shadow_price: FloatArray | float) -> FloatArray:
    """Conversions minus what the spend could have bought elsewhere: ``conversions - spend / theta``.

    At the optimum of a budget-constrained day every channel and hour buys its last conversion at the
    same marginal cost theta, so a step earns a positive reward exactly where it bought better than that.

    Args:
        conversions: expected or credited conversions of the step, any shape.
        spend: money paid in the step, account currency, same shape.
        shadow_price: theta, currency per conversion, > 0; broadcast against the others.

    Returns:
        Reward in conversions, broadcast shape of the arguments.

    Raises:
        ConfigError: theta is not a positive finite number.

    Source: Lagrangian of ``max sum(conversions) s.t. sum(spend) <= budget`` with multiplier 1 / theta
        (Balseiro and Gur 2019, "Learning in Repeated Auctions with Budgets", eq. 2).
    """
    lowest = float(shadow_price if isinstance(shadow_price, int | float) else shadow_price.min())
    if not 0.0 < lowest < float("inf"):
        msg = f"shadow_price is {lowest!r}; it must be positive and finite: use the CPA target while none is known"
        raise ConfigError(msg)
    return conversions - spend / shadow_price

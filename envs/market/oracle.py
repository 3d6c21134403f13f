"""The reference controller given the true parameters: how much of the gap is missing information.

A diagnostic row in tables, never a comparator: it reads the market's hidden state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gaelp_rl.control.reference import ReferenceController
from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.errors import GaelpError

if TYPE_CHECKING:
    from envs.market.market import BatchedMarket

__all__ = ["TruthInformedReference"]

_VARIANCE = 1e-6


class TruthInformedReference(ReferenceController):
    """Replaces the reference controller's beliefs by the truth, every hour.

    Attributes:
        name: ``reference-true``.
    """

    name = "reference-true"
    _market: BatchedMarket | None = None

    def attach(self, market: BatchedMarket) -> None:
        """Gives it the market whose hidden state it reads; call before ``reset``."""
        self._market = market

    def _learn(self, ledger: ReportLedger) -> None:
        super()._learn(ledger)
        if self._market is None:
            msg = f"{self.name} was not given its market: call attach(market) before plan(ledger)"
            raise GaelpError(msg)
        truth = self._market.compute_true_factors()
        self.beliefs.log_conversion[:] = truth.log_conversion
        self.beliefs.log_price[:] = truth.log_price
        self.beliefs.log_volume[:] = truth.log_volume
        for variance in (
            self.beliefs.conversion_variance,
            self.beliefs.price_variance,
            self.beliefs.volume_variance,
        ):
            variance[:] = _VARIANCE
        self.beliefs.covariance[:] = 0.0

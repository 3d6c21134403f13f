"""The learned policy as a planner: the reference controller moved by the network's residual."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.features.residual import ResidualLoop
from gaelp_rl.features.schema import Float32Array

__all__ = ["ActionSource", "ResidualPlanner"]


class ActionSource(Protocol):
    """Anything that turns observations into actions: a loaded artefact, or weights in training."""

    def act(self, observation: Float32Array) -> NDArray[np.floating]:
        """Actions float [worlds, 8] in [-1, 1] for observations float32 [worlds, features]."""
        ...


class ResidualPlanner:
    """Plans with the reference controller and an action source.

    Attributes:
        name: as tables show it.
        loop: observation and decoding, as in training.
        source: gives the residual action.
    """

    def __init__(self, name: str, loop: ResidualLoop, source: ActionSource) -> None:
        self.name = name
        self.loop = loop
        self.source = source

    def reset(self, ledger: ReportLedger) -> None:
        """Starts on a fresh ledger."""
        self.loop.reset(ledger)

    def plan(self, ledger: ReportLedger) -> PlanBatch:
        """The plan for hour ``ledger.hour``.

        Raises:
            ActionError: the source's action is not finite or outside the box.
        """
        action = self.source.act(self.loop.observe(ledger))
        return self.loop.decode(action, ledger)

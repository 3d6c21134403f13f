"""The residual loop: observe through the reference controller, act relative to it.

Training, evaluation and live bidding go through this one object, so that an action means the same
everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaelp_rl.control.change_limits import limit_changes
from gaelp_rl.control.reference import ReferenceController
from gaelp_rl.domain.ledger import ReportLedger
from gaelp_rl.domain.plans import PlanBatch
from gaelp_rl.domain.priors import ChannelPriors
from gaelp_rl.features.actions import ActionReach, decode_action
from gaelp_rl.features.builder import build_observation
from gaelp_rl.features.schema import Float32Array

__all__ = ["ResidualLoop"]


class ResidualLoop:
    """Turns a ledger into observations, and actions into plans that platforms accept.

    Attributes:
        controller: makes the plan of action zero.
        priors: what the observation is relative to.
        reach: how far an action can depart from the controller's plan.
    """

    def __init__(self, controller: ReferenceController, priors: ChannelPriors, reach: ActionReach) -> None:
        self.controller = controller
        self.priors = priors
        self.reach = reach

    def reset(self, ledger: ReportLedger) -> None:
        """Starts on a fresh ledger."""
        self.controller.reset(ledger)

    def observe(self, ledger: ReportLedger) -> Float32Array:
        """Plans hour ``ledger.hour`` with the controller and builds the observation.

        Returns:
            float32 [worlds, features].
        """
        self._reference = self.controller.plan(ledger)
        features = self.controller.compute_features().astype(np.float32)
        return build_observation(ledger, self.controller.objective, self.priors, features)

    def decode(self, action: NDArray[np.floating], ledger: ReportLedger) -> PlanBatch:
        """The plan that an action means for the hour last observed.

        Args:
            action: float [worlds, 8] in [-1, 1].
            ledger: the one last observed.

        Returns:
            The plan with the platforms' change limits applied; action zero gives the controller's.

        Raises:
            ActionError: the action is not finite, outside the box or of another shape.
        """
        bid, budget = decode_action(action, self.controller.bid, self.controller.budget, self.reach)
        plan = PlanBatch.from_currency(bid, budget, self._reference.device_modifier)
        return limit_changes(plan, ledger)

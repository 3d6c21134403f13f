"""The falling learning rate against PyTorch's, on losses of both signs."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.auction.learning.plateau import PlateauRule, start_plateau, step_plateau

RULES = st.builds(
    PlateauRule,
    factor=st.sampled_from([0.1, 0.2, 0.5]),
    patience=st.integers(0, 4),
    least_rate=st.sampled_from([0.0, 1e-8, 1e-3]),
    threshold=st.sampled_from([1e-4, 5e-3]),
)
LOSSES = st.lists(st.floats(-1.0, 1.0) | st.sampled_from([-0.5, -0.49999, 0.5]), min_size=1, max_size=60)


@given(RULES, LOSSES, st.sampled_from([2e-3, 1e-7]))
@settings(deadline=None)
def test_plateau__follows_pytorchs(rule: PlateauRule, losses: list[float], learning_rate: float) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=learning_rate)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser,
        "min",
        factor=rule.factor,
        patience=rule.patience,
        threshold=rule.threshold,
        min_lr=rule.least_rate,
    )
    ours = start_plateau(learning_rate)
    for loss in losses:
        theirs.step(loss)
        ours = step_plateau(ours, loss, rule)
        assert ours.learning_rate == optimiser.param_groups[0]["lr"]


def test_plateau__below_zero_a_slightly_worse_loss_becomes_the_best() -> None:
    """The relative threshold's odd side: -0.99995 x (1 - 1e-4) lies above -0.99995."""
    plateau = step_plateau(start_plateau(1.0), -1.0, PlateauRule(0.5, 10))
    assert step_plateau(plateau, -0.99995, PlateauRule(0.5, 10)).best == -0.99995


def test_plateau__a_loss_that_is_no_number_is_no_better() -> None:
    assert step_plateau(start_plateau(1.0), np.nan, PlateauRule(0.5, 10)).bad_epochs == 1

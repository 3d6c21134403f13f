"""The learning curve: the unshaped score on validation worlds while a policy trains."""

from __future__ import annotations

from dataclasses import dataclass

from gaelp_rl.domain.reports import FloatArray, IntArray

__all__ = ["LearningCurve"]


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Validation score against training episodes.

    Attributes:
        family: family of the validation worlds.
        episodes: int64 [points]; episodes trained on, ascending.
        fho: float64 [training_seeds, points]; IQM over the validation worlds.
        reference_fho: the reference controller's in the same worlds; None where it was not run.
    """

    family: str
    episodes: IntArray
    fho: FloatArray
    reference_fho: float | None = None

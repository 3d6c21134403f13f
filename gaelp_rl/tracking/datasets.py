"""What a run learned from and was judged on, as MLflow's dataset inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

__all__ = ["RecordedDataset"]

_CONTEXT_TAG = "mlflow.data.context"
"""Source: ``mlflow.utils.mlflow_tags.MLFLOW_DATASET_CONTEXT``."""

_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class RecordedDataset:
    """Data by name, use and content; the data itself is not copied.

    Attributes:
        name: such as ``campaign-train``; at most 500 characters.
        context: what the run used it for: ``training``, ``validation`` or ``test``.
        source_type: what kind of source it has, such as ``simulated-worlds`` or ``ga4-export``.
        source: JSON types that say how to get exactly this data again; no path of one machine, no secret.
        profile: JSON types that say how much it is, such as ``{"worlds": 200}``.
    """

    name: str
    context: str
    source_type: str
    source: Mapping[str, Any]
    profile: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the sha256 of the source: same source, same digest."""
        text = json.dumps([self.source_type, self.source], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]

    def to_input(self) -> DatasetInput:
        """The dataset as MLflow takes it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=self.name,
            digest=self.digest,
            source_type=self.source_type,
            source=json.dumps(self.source, sort_keys=True, default=str),
            profile=json.dumps(self.profile, sort_keys=True, default=str),
        )
        return DatasetInput(dataset, tags=[InputTag(_CONTEXT_TAG, self.context)])

"""Acting with a loaded policy: numpy only, batched over worlds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaelp_rl.errors import ActionError, SchemaError
from gaelp_rl.features.schema import Float32Array, ObservationSchema
from gaelp_rl.policy.manifest import Manifest, NetworkManifest, PolicyKind
from gaelp_rl.policy.network import MlpNetwork

__all__ = ["LoadedPolicy", "ResidualNetwork"]


@dataclass(frozen=True, slots=True)
class ResidualNetwork:
    """A network with the schemas on both of its sides.

    Attributes:
        layers: the perceptron.
        manifest: its action names, decode and ``residual_scale``.
        schema: the observation that it was trained on.
        input_schema: the observation that ``act`` takes; cut or padded to ``schema`` where they differ.
    """

    layers: MlpNetwork
    manifest: NetworkManifest
    schema: ObservationSchema
    input_schema: ObservationSchema

    def act(self, observation: Float32Array) -> Float32Array:
        """Computes the residual action; see ``LoadedPolicy.act``."""
        _check_observation(observation, self.input_schema)
        own = observation
        if self.input_schema is not self.schema:
            own = np.asarray(self.schema.fit(observation, self.input_schema), dtype=np.float32)
        action = self.layers.compute_action(own)
        action *= np.float32(self.manifest.residual_scale)
        if not np.isfinite(action).all():
            world, index = np.argwhere(~np.isfinite(action))[0]
            raise ActionError(
                f"action {self.manifest.actions[index].name!r} of world {world} is {action[world, index]}: "
                "the network overflows on this observation; use the fallback controller and check the features' ranges"
            )
        return action


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy artefact that has passed every check.

    Attributes:
        manifest: what the artefact says about itself: kind, controller, provenance.
        sha256: the artefact's identity.
        network: the trained residual; None where the controller alone is the policy.
    """

    manifest: Manifest
    sha256: str
    network: ResidualNetwork | None

    @property
    def kind(self) -> PolicyKind:
        """Whether a network or a controller decides."""
        return self.manifest.kind

    def act(self, observation: Float32Array) -> Float32Array:
        """Computes the residual action on the reference controller.

        Args:
            observation: float32 [worlds, features of ``network.input_schema``].

        Returns:
            float32 [worlds, actions] in [-1, 1], ``residual_scale`` applied.

        Raises:
            SchemaError: wrong shape or type, or a non-finite number; names the feature.
            ActionError: the policy is a controller, or the network gives a non-finite action.
        """
        if self.network is None:
            raise ActionError(
                f"policy {self.sha256[:12]} is the controller {self.manifest.controller.name!r} and has no network: "
                "build that controller from manifest.controller and ask it for plans"
            )
        return self.network.act(observation)


def _check_observation(observation: Float32Array, schema: ObservationSchema) -> None:
    if observation.dtype != np.float32:
        raise SchemaError(
            f"observation is {observation.dtype}, and must be float32 [worlds, {schema.size}] of schema "
            f"{schema.describe()}: build it with gaelp_rl.features"
        )
    schema.check(observation)

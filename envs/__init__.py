"""Simulated markets and their Gymnasium faces: numpy and numba, never Ray.

``gymnasium.make("envs:gaelp/MultiChannel-v1")`` imports this package, which registers the ids;
nothing heavy is imported before an environment is made.
"""

from __future__ import annotations

import gymnasium as gym

import gaelp_rl  # noqa: F401  (chooses the kernel cache before numba is imported)

__all__ = ["register_envs"]


def register_envs() -> None:
    """Registers the environments with Gymnasium; calling it again changes nothing."""
    if "gaelp/MultiChannel-v1" not in gym.registry:
        gym.register(
            "gaelp/MultiChannel-v1",
            entry_point="envs.market.env:MultiChannelEnv",
            vector_entry_point="envs.market.env:MultiChannelVectorEnv",
        )


register_envs()

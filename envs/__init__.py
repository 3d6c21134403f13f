"""Simulated markets and their Gymnasium faces: numpy and numba, never Ray.

``gymnasium.make("envs:gaelp/MultiChannel-v1")`` imports this package, which registers the ids;
nothing heavy is imported before an environment is made.
"""

from __future__ import annotations

import gymnasium as gym

import gaelp_rl  # noqa: F401  (chooses the kernel cache before numba is imported)

__all__ = ["register_envs"]


_ENTRY_POINTS = {
    "gaelp/MultiChannel-v1": ("envs.market.env:MultiChannelEnv", "envs.market.env:MultiChannelVectorEnv"),
    "gaelp/Auction-v1": ("envs.auction.env:AuctionEnv", "envs.auction.env:AuctionVectorEnv"),
    "gaelp/Journey-v1": ("envs.journey.env:JourneyEnv", "envs.journey.vector_env:JourneyVectorEnv"),
}


def register_envs() -> None:
    """Registers the environments with Gymnasium; calling it again changes nothing."""
    for env_id, (scalar, vector) in _ENTRY_POINTS.items():
        if env_id not in gym.registry:
            gym.register(env_id, entry_point=scalar, vector_entry_point=vector)


register_envs()

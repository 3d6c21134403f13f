"""RecSim users: the wrapped package, its batched equal, and our ad journey."""

"""Simulated markets and their Gymnasium faces: numpy and numba, never Ray."""

"""Thin runnable jobs: they compose the parts and hold no logic of their own."""

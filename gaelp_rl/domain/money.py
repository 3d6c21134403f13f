"""Money as whole micros: one currency unit is 1,000,000 micros."""

from __future__ import annotations

__all__ = ["MICROS", "Micros"]

Micros = int
"""A whole number of millionths of a currency unit."""

MICROS: Micros = 1_000_000
"""Micros in one currency unit."""

"""Loopback servers that speak the platforms' protocols over one simulated market. For tests, rehearsals, newcomers."""

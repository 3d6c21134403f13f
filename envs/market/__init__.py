"""The multi-channel market: four platforms, a day of 24 hours, delayed conversions."""

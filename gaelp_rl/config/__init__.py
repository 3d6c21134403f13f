"""Every setting of gaelp-rl: strict pydantic models, read from TOML. Imports neither Ray nor torch."""

from __future__ import annotations

from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.strict import StrictModel

__all__ = ["StrictModel", "dump_config", "load_config"]

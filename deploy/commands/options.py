"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Overrides"]

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, such as training.gamma=0.9. Repeatable."),
]
"""``--set KEY=VALUE``, as ``load_config`` takes it."""

"""``gaelp sandbox``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["EPILOG", "sandbox"]

EPILOG = (
    "Examples: `gaelp sandbox --hours 48 --speed 3600` · `gaelp sandbox --campaigns 50 --speed 0` · "
    "`gaelp sandbox --faults faults.toml --time-zone Europe/Berlin`"
)


def sandbox(
    hours: Annotated[int | None, typer.Option(min=1, help="Simulated hours to run. Default: until Ctrl-C.")] = None,
    speed: Annotated[
        float, typer.Option(min=0.0, help="Simulated seconds per second; 0: time passes by POST /advance only.")
    ] = 3600.0,
    campaigns: Annotated[int, typer.Option(min=1, max=500, help="On each channel.")] = 1,
    family: Annotated[str | None, typer.Option(metavar="NAME", help="A family of worlds, or a market TOML.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the worlds.")] = 0,
    history: Annotated[int, typer.Option(min=0, max=24 * 28, help="Hours that have passed at the start.")] = 24,
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="Of all accounts.")] = "UTC",
    currency: Annotated[str, typer.Option(metavar="CODE", help="Of all accounts.")] = "USD",
    faults: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML of [[faults]]; docs/sandbox.md.")] = None,
    plaintext: Annotated[bool, typer.Option("--plaintext", help="gRPC without TLS and sign-in.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="For connectors.toml and secrets.")] = Path("runs/sandbox"),
) -> None:
    """Run the five platforms on this machine over one simulated market: no account, no money."""
    from experiments.run_sandbox import SandboxSettings, run_sandbox

    defaults = SandboxSettings()
    run_sandbox(
        SandboxSettings(
            family=family or defaults.family,
            campaigns=campaigns,
            seed=seed,
            history=history,
            hours=hours,
            speed=speed,
            time_zone=time_zone,
            currency=currency,
            plaintext=plaintext,
            faults=faults,
            out=out,
        )
    )

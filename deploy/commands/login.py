"""``gaelp login``."""

from __future__ import annotations

import os
import webbrowser
from typing import Annotated

import typer
from pydantic import SecretStr

__all__ = ["EPILOG", "login"]

EPILOG = (
    "Secrets are asked for or taken from the environment, never from arguments. Examples: `gaelp login google` · "
    "`gaelp login meta --no-browser` · `gaelp login tiktok --port 8765`"
)


def login(
    platform: Annotated[str, typer.Argument(metavar="PLATFORM", help="google, meta, tiktok, microsoft or ga4.")],
    app: Annotated[str | None, typer.Option("--app", metavar="ID", help="The app's id; asked for if unknown.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the consent page; else only print its address.")] = True,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the loopback redirect, where the app must name it; 0: a free one.")
    ] = 0,
    endpoint: Annotated[str, typer.Option(metavar="URL", help="A sandbox's sign-in in place of the platform's.")] = "",
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for consent.")] = 300.0,
) -> None:
    """Sign in to a platform in the browser, and store the tokens for this user only."""
    from connectors.credentials import SecretSource, load_credentials
    from connectors.login import LOGINS, run_login
    from connectors.registry import PLATFORMS
    from connectors.token_store import TokenStore
    from gaelp_rl.errors import ConfigError, suggest

    if platform not in LOGINS:
        msg = f"no platform {platform!r}.{suggest(platform, LOGINS)}"
        raise ConfigError(msg)
    flow, source = LOGINS[platform], SecretSource.of_process()
    credentials = load_credentials(PLATFORMS[platform].credentials, source)
    asked: dict[str, SecretStr] = {}
    if app or getattr(credentials, flow.app_field) is None:
        asked[flow.app_field] = SecretStr(app or typer.prompt(f"{platform}: {flow.app_field.replace('_', ' ')}"))
    if flow.needs_secret and getattr(credentials, flow.secret_field) is None:
        prompt = f"{platform}: {flow.secret_field.replace('_', ' ')}"
        asked[flow.secret_field] = SecretStr(typer.prompt(prompt, hide_input=True))

    def open_page(url: str) -> None:
        typer.echo(f"Consent page: {url}")
        if browser:
            webbrowser.open(url)
        typer.echo("Waiting for consent ...")

    path = run_login(
        platform,
        credentials.model_copy(update=asked),
        source.store or TokenStore.of_user(os.environ),
        open_page=open_page,
        endpoint=endpoint,
        port=port,
        timeout_s=timeout,
    )
    typer.echo(f"Tokens are in {path}, readable by you only. Next: gaelp check {platform}")

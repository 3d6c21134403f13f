"""Consent end to end, against the platforms' own paths on this machine; the browser is a plain HTTP client."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from pydantic import SecretStr

from connectors.credentials import MicrosoftCredentials
from connectors.login import LOGINS, run_login
from connectors.registry import PLATFORMS
from connectors.renewal import renew_microsoft
from connectors.sandbox.faults import FaultInjector, FaultKind
from connectors.sandbox.http_host import HttpHost
from connectors.sandbox.oauth import OAuthSandbox
from connectors.sandbox.tokens import TokenDesk
from connectors.token_store import TokenStore
from gaelp_rl.errors import AuthError, ConfigError, TransientError
from tests.sandbox import script

APP_SECRET = "canary-app-secret"


@contextmanager
def serve(platform, injector=None):
    desk = TokenDesk(platform, rotates=platform == "microsoft")
    host = HttpHost(OAuthSandbox(platform, desk), injector or FaultInjector())
    host.start()
    try:
        yield host.url, desk
    finally:
        host.stop()


def make_credentials(platform):
    flow = LOGINS[platform]
    secrets = {flow.app_field: SecretStr("app-id"), flow.secret_field: SecretStr(APP_SECRET)}
    return PLATFORMS[platform].credentials(**secrets)


def browse(url):
    """Follows the consent page to where it leads, as a browser would."""
    threading.Thread(target=requests.get, args=(url,), kwargs={"timeout": 5}, daemon=True).start()


def answer_with(**changes):
    """A browser that comes back with something else."""

    def open_page(url):
        query = {name: texts[0] for name, texts in parse_qs(urlsplit(url).query).items()}
        sent = {"state": query["state"], **changes}
        browse(requests.Request("GET", query["redirect_uri"], params=sent).prepare().url)

    return open_page


@pytest.mark.parametrize("platform", LOGINS)
def test_login__stores_tokens_that_are_good(platform, tmp_path):
    store = TokenStore(tmp_path)
    with serve(platform) as (url, desk):
        path = run_login(platform, make_credentials(platform), store, open_page=browse, endpoint=url, timeout_s=5)
        stored = store.load(platform)
        kept = stored[LOGINS[platform].kept]
        if LOGINS[platform].kept == "access_token":
            assert desk.is_good(kept)
        else:
            assert desk.refresh(kept) is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert stored[LOGINS[platform].secret_field] == APP_SECRET


@pytest.mark.parametrize("platform", LOGINS)
def test_consent_page__is_the_platforms_own_unless_overridden(platform, tmp_path):
    """What a user is shown must be the real page; a proof key where the platform takes one."""
    shown = []
    with pytest.raises(AuthError, match="nobody consented in time"):
        run_login(platform, make_credentials(platform), TokenStore(tmp_path), open_page=shown.append, timeout_s=0.05)
    page = urlsplit(shown[0])
    query = parse_qs(page.query)
    assert shown[0].startswith(LOGINS[platform].authorize)
    assert page.scheme == "https"
    assert query["redirect_uri"][0].startswith("http://127.0.0.1:")
    assert ("code_challenge" in query) == LOGINS[platform].proof_key
    assert APP_SECRET not in shown[0]


@pytest.mark.parametrize("platform", LOGINS)
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"state": "forged", "code": "c", "auth_code": "c"}, "did not come from the page"),
        ({"error": "access_denied", "error_description": "The user said no"}, "The user said no"),
        ({"nothing": "here"}, "holds no"),
        ({"code": "unknown", "auth_code": "unknown"}, "the code was refused"),
    ],
    ids=["forged state", "denied", "no code", "unknown code"],
)
def test_login__refuses_an_answer_that_is_none(platform, changes, says, tmp_path):
    store = TokenStore(tmp_path)
    opener = answer_with(**changes)
    with serve(platform) as (url, _), pytest.raises(AuthError, match=says):
        run_login(platform, make_credentials(platform), store, open_page=opener, endpoint=url, timeout_s=5)
    assert store.load(platform) == {}


@pytest.mark.parametrize("platform", ["google", "microsoft"])
def test_code_of_another_login__is_refused_for_its_proof_key(platform, tmp_path):
    """A code that leaks from a log is worth nothing without the key that never left this process."""
    with serve(platform) as (url, _):
        page = f"{url}{urlsplit(LOGINS[platform].authorize).path}"
        sent = {"redirect_uri": "http://127.0.0.1:9/", "state": "s", "code_challenge": "of-somebody-else"}
        leaked = requests.get(page, params=sent, allow_redirects=False, timeout=5).headers["Location"]
        code = parse_qs(urlsplit(leaked).query)["code"][0]
        opener, store = answer_with(code=code), TokenStore(tmp_path)
        with pytest.raises(AuthError, match="refused"):
            run_login(platform, make_credentials(platform), store, open_page=opener, endpoint=url, timeout_s=5)


@pytest.mark.parametrize("platform", LOGINS)
def test_login__shows_no_secret_when_it_fails(platform, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    injector = FaultInjector(script(FaultKind.SERVER_ERROR, "auth", at=(2,)))
    store = TokenStore(tmp_path)
    with serve(platform, injector) as (url, _), pytest.raises((AuthError, TransientError)) as caught:
        run_login(platform, make_credentials(platform), store, open_page=browse, endpoint=url, timeout_s=5)
    shown = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert APP_SECRET not in shown
    assert "sandbox-" not in shown


@pytest.mark.parametrize(
    ("platform", "endpoint", "says"),
    [("goggle", "", "did you mean 'google'|google"), ("google", "http://evil.com", "not on this machine")],
)
def test_login__refuses_to_start_where_it_must_not(platform, endpoint, says, tmp_path):
    with pytest.raises(ConfigError, match=says):
        run_login(platform, make_credentials("google"), TokenStore(tmp_path), open_page=browse, endpoint=endpoint)


def test_login__without_an_app_says_how_to_name_it(tmp_path):
    with pytest.raises(ConfigError, match="META_APP_ID"):
        run_login("meta", PLATFORMS["meta"].credentials(), TokenStore(tmp_path), open_page=browse)


def make_microsoft(refresh):
    return MicrosoftCredentials(client_id=SecretStr("app-id"), refresh_token=SecretStr(refresh))


def test_renewal__keeps_the_newest_refresh_token(tmp_path):
    """Microsoft replaces it at every use; the one that was given is dead after the first."""
    store = TokenStore(tmp_path)
    with serve("microsoft") as (url, desk):
        given = make_microsoft(desk.issue().refresh)
        tokens = [renew_microsoft(given, store, f"{url}/common/oauth2/v2.0/token", 5.0) for _ in range(3)]
        assert len(set(tokens)) == 3
        assert all(desk.is_good(token) for token in tokens)
    assert store.locate("microsoft").stat().st_mode & 0o777 == 0o600


def test_renewal__by_two_at_once_leaves_both_with_good_tokens(tmp_path):
    with serve("microsoft") as (url, desk):
        given, store = make_microsoft(desk.issue().refresh), TokenStore(tmp_path)
        tokens = []
        address = f"{url}/common/oauth2/v2.0/token"
        threads = [
            threading.Thread(target=lambda: tokens.append(renew_microsoft(given, store, address, 5.0)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(tokens) == 4
        assert all(desk.is_good(token) for token in tokens)
        assert desk.refresh(store.load("microsoft")["refresh_token"]) is not None


def test_renewal__tries_the_given_token_where_the_stored_one_is_dead(tmp_path):
    """After a new login elsewhere, the environment may know better than the store."""
    store = TokenStore(tmp_path)
    store.save("microsoft", {"refresh_token": "revoked-refresh-token"})
    with serve("microsoft") as (url, desk):
        token = renew_microsoft(make_microsoft(desk.issue().refresh), store, f"{url}/common/oauth2/v2.0/token", 5.0)
        assert desk.is_good(token)
    assert "revoked" not in json.dumps(store.load("microsoft"))


def test_renewal__with_a_dead_token_says_to_log_in(tmp_path):
    with serve("microsoft") as (url, _), pytest.raises(AuthError, match="gaelp login microsoft") as caught:
        renew_microsoft(
            make_microsoft("dead-refresh-token"), TokenStore(tmp_path), f"{url}/common/oauth2/v2.0/token", 5.0
        )
    assert "dead-refresh-token" not in str(caught.value)


def test_renewal__when_nobody_answers_is_transient(tmp_path):
    with pytest.raises(TransientError):
        renew_microsoft(make_microsoft("refresh-token"), TokenStore(tmp_path), "http://127.0.0.1:9/token", 1.0)

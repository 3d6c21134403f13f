"""Tokens on disk: for this user only, whole or not at all."""

from __future__ import annotations

import json
import threading

import pytest

from connectors.token_store import TokenStore
from gaelp_rl.errors import ConfigError


def test_save__is_for_this_user_only(tmp_path):
    path = TokenStore(tmp_path / "deep" / "credentials").save("google", {"refresh_token": "r"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert TokenStore(path.parent).load("google") == {"refresh_token": "r"}


def test_load__of_nothing_is_empty(tmp_path):
    assert TokenStore(tmp_path).load("google") == {}


def test_save__that_breaks_leaves_the_old_tokens(tmp_path):
    """A rotated refresh token that is lost locks the account out."""
    store = TokenStore(tmp_path)
    store.save("microsoft", {"refresh_token": "old"})
    with pytest.raises(TypeError):
        store.save("microsoft", {"refresh_token": object()})
    assert store.load("microsoft") == {"refresh_token": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["microsoft.json"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_load__refuses_a_file_that_others_can_read(tmp_path, mode):
    store = TokenStore(tmp_path)
    store.save("meta", {"access_token": "a"}).chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        store.load("meta")


@pytest.mark.parametrize("content", ["", "[]", '{"access_token": 7}', "{"])
def test_load__refuses_what_login_did_not_write(tmp_path, content):
    path = tmp_path / "meta.json"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(ConfigError, match="gaelp login meta"):
        TokenStore(tmp_path).load("meta")


def test_lock__lets_one_in_at_a_time(tmp_path):
    """Two processes that renew at once would each kill the other's token."""
    store, inside, most = TokenStore(tmp_path), [], []

    def renew():
        for _ in range(20):
            with store.locked("microsoft"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=renew) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 80


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"GAELP_CREDENTIALS": "/secrets"}, "/secrets"),
        ({"XDG_CONFIG_HOME": "/config"}, "/config/gaelp/credentials"),
    ],
)
def test_of_user__is_where_the_environment_says(environment, folder):
    assert str(TokenStore.of_user(environment).locate("meta")) == f"{folder}/meta.json"


def test_file__is_plain_json(tmp_path):
    path = TokenStore(tmp_path).save("meta", {"access_token": "a"})
    assert json.loads(path.read_text()) == {"access_token": "a"}

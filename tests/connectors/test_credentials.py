"""Secrets: four places, one order, and never in sight."""

from __future__ import annotations

import pytest

from connectors.credentials import GoogleCredentials, MetaCredentials, SecretSource, load_credentials
from connectors.token_store import TokenStore
from gaelp_rl.errors import ConfigError

SECRET = "canary-secret"


def make_source(tmp_path, **environment):
    return SecretSource(environment, TokenStore(tmp_path / "store"), tmp_path)


def test_secrets__come_from_the_first_place_that_has_them(tmp_path):
    (tmp_path / "google-ads.yaml").write_text("client_id: yaml\nclient_secret: yaml\nrefresh_token: yaml\n")
    source = make_source(tmp_path)
    found = load_credentials(GoogleCredentials, source)
    assert found.client_id.get_secret_value() == "yaml"
    source.store.save("google", {"client_id": "store", "client_secret": "store"})
    (tmp_path / "mounted").write_text("mounted\n")
    source = make_source(
        tmp_path, GOOGLE_ADS_CLIENT_ID="environment", GOOGLE_ADS_CLIENT_ID_FILE=str(tmp_path / "mounted")
    )
    found = load_credentials(GoogleCredentials, source)
    assert found.client_id.get_secret_value() == "environment"
    assert found.client_secret.get_secret_value() == "store"
    assert found.refresh_token.get_secret_value() == "yaml"
    source = make_source(tmp_path, GOOGLE_ADS_CLIENT_ID_FILE=str(tmp_path / "mounted"))
    assert load_credentials(GoogleCredentials, source).client_id.get_secret_value() == "mounted"


def test_google_ads_yaml__is_read_where_googles_own_variable_says(tmp_path):
    path = tmp_path / "elsewhere.yaml"
    path.write_text("refresh_token: here\nuse_proto_plus: true\nlogin_customer_id: 1234567890\n")
    source = make_source(tmp_path, GOOGLE_ADS_CONFIGURATION_FILE_PATH=str(path))
    assert load_credentials(GoogleCredentials, source).refresh_token.get_secret_value() == "here"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [("gone.yaml", None, "is no file"), ("bad.yaml", "a: [", "YAML"), ("list.yaml", "- a\n", "no settings")],
)
def test_google_ads_yaml__that_cannot_be_used_says_why(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_text(content)
    source = make_source(tmp_path, GOOGLE_ADS_CONFIGURATION_FILE_PATH=str(tmp_path / name))
    with pytest.raises(ConfigError, match=says):
        load_credentials(GoogleCredentials, source)


def test_mounted_file__that_is_gone_is_named_by_its_variable(tmp_path):
    source = make_source(tmp_path, META_APP_SECRET_FILE=str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="META_APP_SECRET_FILE"):
        load_credentials(MetaCredentials, source)


def test_missing_secrets__are_named_with_the_ways_to_give_them(tmp_path):
    found = load_credentials(MetaCredentials, make_source(tmp_path, META_APP_ID="1"))
    with pytest.raises(ConfigError, match=r"META_APP_SECRET, META_ACCESS_TOKEN: run `gaelp login meta`"):
        found.require("app_id", "app_secret", "access_token")


def test_secrets__are_in_no_text_of_their_holder(tmp_path):
    found = load_credentials(MetaCredentials, make_source(tmp_path, META_ACCESS_TOKEN=SECRET))
    assert SECRET not in f"{found!r} {found} {found.model_dump()} {found.model_dump_json()}"
    assert [one.get_secret_value() for one in found.list_secrets()] == [SECRET]

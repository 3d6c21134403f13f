"""What the Microsoft SDK must not do to the process that loads it."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from connectors.credentials import MicrosoftCredentials
from connectors.microsoft.client import MicrosoftConnector
from connectors.settings import MicrosoftSettings


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)

    value: int = 1


def test_connector__leaves_pydantic_as_it_was():
    before = BaseModel.__setattr__
    secret = SecretStr("none")
    credentials = MicrosoftCredentials(client_id="app", developer_token=secret, refresh_token=secret)
    MicrosoftConnector(MicrosoftSettings(account="1", customer="2"), credentials).close()
    assert BaseModel.__setattr__ is before
    assert "__getattr__" not in vars(BaseModel) or BaseModel.__getattr__.__module__.startswith("pydantic")
    with pytest.raises(ValidationError, match="frozen"):
        _Frozen().value = 2

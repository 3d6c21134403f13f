from __future__ import annotations

import importlib
import math
import pkgutil

import pytest
from pydantic import ValidationError

import gaelp_rl.config
from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.strict import StrictModel


class Pacing(StrictModel):
    gain: float = 0.5
    hours: int = 24
    enabled: bool = True


def test_strict_model__refuses_an_unknown_key():
    with pytest.raises(ValidationError, match="gian"):
        Pacing.model_validate({"gian": 0.1})


@pytest.mark.parametrize("gain", [math.nan, math.inf, -math.inf])
def test_strict_model__refuses_a_number_that_is_not_finite(gain):
    with pytest.raises(ValidationError, match="finite"):
        Pacing(gain=gain)


@pytest.mark.parametrize(
    "settings", [{"hours": "24"}, {"hours": 24.5}, {"enabled": 1}, {"gain": "0.5"}, {"hours": True}]
)
def test_strict_model__converts_nothing_silently(settings):
    with pytest.raises(ValidationError):
        Pacing.model_validate(settings)


def test_strict_model__takes_an_integer_for_a_float():
    assert Pacing(gain=1).gain == 1.0


def test_strict_model__is_frozen():
    pacing = Pacing()
    with pytest.raises(ValidationError, match="frozen"):
        pacing.gain = 0.1


NEED_AN_ARGUMENT = {"Dimension"}
"""Models whose fields are all optional and one of which must be given."""


def list_settings() -> list[type[StrictModel]]:
    """Every settings model of the project that needs no argument."""
    for info in pkgutil.iter_modules(gaelp_rl.config.__path__):
        importlib.import_module(f"gaelp_rl.config.{info.name}")
    pending, found = [StrictModel], []
    while pending:
        children = pending.pop().__subclasses__()
        pending += children
        found += [model for model in children if model.__module__.startswith("gaelp_rl.")]
    return [
        model
        for model in found
        if model.__name__ not in NEED_AN_ARGUMENT and not any(f.is_required() for f in model.model_fields.values())
    ]


@pytest.mark.parametrize("model", list_settings(), ids=lambda model: model.__name__)
def test_settings__have_defaults_that_pass_their_own_rules(model):
    """Pydantic takes defaults as they stand: a NaN or a number out of range would go in unseen."""
    assert model.model_validate(model().model_dump()) == model()


@pytest.mark.parametrize("model", list_settings(), ids=lambda model: model.__name__)
def test_settings__survive_the_way_through_toml(model, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(dump_config(model()), encoding="utf-8")
    assert load_config(model, file) == load_config(model) == model()

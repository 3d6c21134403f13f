"""Settings from a TOML file and dotted overrides, and back to TOML."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gaelp_rl.config.redaction import redact
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.errors import ConfigError, suggest

__all__ = ["dump_config", "load_config"]

_Model = TypeVar("_Model", bound=StrictModel)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def load_config(model: type[_Model], path: Path | None = None, overrides: Sequence[str] = ()) -> _Model:
    """Builds settings from a file, then overrides, then the model's defaults for what neither names.

    Args:
        model: the settings model.
        path: a TOML file; None means defaults only.
        overrides: `dotted.key=value` strings, applied in order. The value is read as TOML (`512`, `1e-3`,
            `true`, `[128, 128]`, `"text"`); what is not TOML is taken as a string.

    Returns:
        The validated settings.

    Raises:
        ConfigError: the file cannot be read or parsed, an override has no `=`, a key is unknown, or a value
            breaks its field's rule. The message lists every such key at once.
    """
    settings = {} if path is None else _load_toml(path)
    for override in overrides:
        _apply_override(settings, override)
    source = "the settings" if path is None else str(path)
    try:
        return model.model_validate_json(json.dumps(settings, default=str))
    except ValidationError as error:
        lines = [_describe_error(model, settings, details) for details in error.errors(include_url=False)]
        raise ConfigError("\n".join([f"{source} cannot be used:", *lines])) from None


def dump_config(config: BaseModel) -> str:
    """Writes settings as TOML that `load_config` reads back to an equal model.

    Fields that hold None are left out (TOML has no null); secrets are written masked.

    Args:
        config: the settings.

    Returns:
        TOML text that ends with a newline.
    """
    return "\n".join(_emit_table(config.model_dump(mode="json"), ())).strip() + "\n"


def _load_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = suggest(path.name, (item.name for item in path.parent.glob("*.toml"))) if path.parent.is_dir() else ""
        raise ConfigError(f"no config file {str(path)!r}.{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {str(path)!r} cannot be read as UTF-8 text: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config file {str(path)!r} is not TOML: {error}") from error


def _apply_override(settings: dict[str, object], override: str) -> None:
    dotted, equals, raw = override.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys):
        raise ConfigError(f"override {redact(override)!r}: expected dotted.key=value, such as training.batch_size=512")
    table = settings
    for depth, key in enumerate(keys[:-1], start=1):
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"override {redact(override)!r}: {'.'.join(keys[:depth])!r} is {redact(repr(inner))}, which has no keys"
            )
        table = inner
    table[keys[-1]] = _parse_override_value(raw.strip())


def _parse_override_value(raw: str) -> object:
    try:
        parsed = tomllib.loads(f"parsed = {raw}")
    except tomllib.TOMLDecodeError:
        return raw
    return parsed["parsed"] if len(parsed) == 1 else raw


def _describe_error(model: type[BaseModel], settings: Mapping[str, object], details: ErrorDetails) -> str:
    location = details["loc"]
    dotted = ".".join(str(part) for part in location) or "(top level)"
    if details["type"] == "extra_forbidden":
        parent = _find_model(model, location[:-1])
        near = suggest(str(location[-1]), parent.model_fields) if parent else ""
        return f"  {dotted}: unknown key.{near}"
    if details["type"] == "missing":
        return f"  {dotted}: missing, and it has no default.{_describe_field(model, location)}"
    shown = details["input"] if len(location) == 0 else _find_setting(settings, location, details["input"])
    return f"  {dotted} = {redact(repr(shown))}: {_lower_first(details['msg'])}.{_describe_field(model, location)}"


def _describe_field(model: type[BaseModel], location: Sequence[str | int]) -> str:
    parent = _find_model(model, location[:-1])
    field = parent.model_fields.get(str(location[-1])) if parent and location else None
    return f" It is: {field.description.rstrip('.')}." if field and field.description else ""


def _find_model(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """Follows a location into nested models; None where it passes through anything else."""
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or current is None:
            continue
        field = current.model_fields.get(part)
        current = _nested_model(field.annotation) if field else None
    return current


def _nested_model(annotation: object) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and typing.get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_nested_model, typing.get_args(annotation))), None)


def _find_setting(settings: object, location: Sequence[str | int], fallback: object) -> object:
    """The value as the user wrote it (JSON transport shows NaN and dates differently)."""
    current = settings
    for part in location:
        try:
            current = current[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return fallback
    return current


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _emit_table(table: Mapping[str, object], path: tuple[str, ...]) -> list[str]:
    plain = {key: entry for key, entry in table.items() if entry is not None and not isinstance(entry, dict)}
    nested = {key: entry for key, entry in table.items() if isinstance(entry, dict)}
    lines = ["", f"[{'.'.join(map(_emit_key, path))}]"] if path and (plain or not nested) else []
    lines += [f"{_emit_key(key)} = {_emit_entry(entry)}" for key, entry in plain.items()]
    for key, entry in nested.items():
        lines += _emit_table(entry, (*path, key))
    return lines


def _emit_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _emit_string(key)


def _emit_entry(entry: object) -> str:
    if isinstance(entry, str):
        return _emit_string(entry)
    if isinstance(entry, bool):
        return "true" if entry else "false"
    if isinstance(entry, list):
        return f"[{', '.join(_emit_entry(item) for item in entry)}]"
    if isinstance(entry, dict):
        pairs = (f"{_emit_key(key)} = {_emit_entry(item)}" for key, item in entry.items() if item is not None)
        return f"{{{', '.join(pairs)}}}"
    return repr(entry)


def _emit_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""The sandbox's own handle: its clock, its faults, what was written to it."""

from __future__ import annotations

import json

from pydantic import ValidationError

from connectors.sandbox.faults import CallKind, Fault, FaultInjector, FaultScript
from connectors.sandbox.http_host import WireRequest, WireResponse, make_json
from connectors.sandbox.world import SandboxWorld

__all__ = ["ControlApi"]

_MAX_HOURS = 24 * 366


class ControlApi:
    """``GET /clock``, ``POST /advance?hours=N``, ``POST /faults`` (a script as JSON), ``GET /changes``."""

    platform = "control"

    def __init__(self, world: SandboxWorld, injector: FaultInjector) -> None:
        """Handles one sandbox.

        Args:
            world: its market.
            injector: its faults.
        """
        self._world = world
        self._injector = injector

    def classify(self, request: WireRequest) -> CallKind:
        """No scripted fault reaches the handle itself."""
        del request
        return CallKind.AUTH

    def answer(self, request: WireRequest) -> WireResponse:
        """One call."""
        match request.method, request.path:
            case "GET", "/clock":
                return make_json({"now": self._world.now.isoformat(), "hour": self._world.hour})
            case "GET", "/changes":
                return make_json(self._list_changes())
            case "POST", "/advance":
                return self._advance(request)
            case "POST", "/faults":
                return self._set_faults(request)
        return make_json({"error": f"no such path: {request.method} {request.path}"}, 404)

    def refuse(self, request: WireRequest, fault: Fault) -> WireResponse:
        """Never called for a script that names platforms."""
        del request, fault
        return make_json({"error": "scripted"}, 503)

    def _advance(self, request: WireRequest) -> WireResponse:
        text = request.parameters.get("hours", "1")
        if not text.isdigit() or not 1 <= int(text) <= _MAX_HOURS:
            return make_json({"error": f"hours is {text!r}: it must be a whole number from 1 to {_MAX_HOURS}"}, 400)
        self._world.advance(int(text))
        return make_json({"now": self._world.now.isoformat(), "hour": self._world.hour})

    def _set_faults(self, request: WireRequest) -> WireResponse:
        try:
            script = FaultScript.model_validate_json(request.body)
        except ValidationError as error:
            return make_json({"error": json.loads(error.json(include_url=False, include_context=False))}, 400)
        self._injector.set_script(script)
        return make_json({"faults": len(script.faults)})

    def _list_changes(self) -> list[dict[str, object]]:
        with self._world.lock:
            return [
                {
                    "channel": channel.value,
                    "hour": change.hour,
                    "setting": change.setting.value,
                    "campaign": change.campaign,
                    "device": change.device and change.device.value,
                    "before": change.before,
                    "after": change.after,
                }
                for channel, account in self._world.accounts.items()
                for change in account.changes
            ]

"""What a Ray dashboard answers over HTTP: is it ready, does it refuse strangers, which jobs, which resources."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gaelp_rl.errors import ConfigError, ResourceError

__all__ = ["Dashboard", "JobSummary", "check_address", "is_loopback", "shorten_message"]

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
"""Job statuses after which nothing more happens."""

_UNAUTHORIZED = 401
_OK = 200


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One job of a cluster.

    Attributes:
        job_id: what `gaelp cluster logs` and `stop` take.
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        message: Ray's explanation, without the log.
        out: where the sprint writes; empty for other jobs.
    """

    job_id: str
    status: str
    message: str
    out: str = ""

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED


def check_address(address: str) -> str:
    """The URL of a dashboard, with its scheme.

    Raises:
        ConfigError: it is no address of an HTTP server.
    """
    url = address if "://" in address else f"http://{address}"
    parts = urlsplit(url)
    try:
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or parts.username or parts.query or parts.fragment:
        rule = "expected the dashboard's URL, such as https://ray.example.com or http://127.0.0.1:8265"
        raise ConfigError(f"address {address!r} cannot be used: {rule}")
    return url.rstrip("/")


def shorten_message(message: str | None) -> str:
    """Ray's explanation without the end of the log that it repeats for a failed job."""
    return (message or "").partition(", last available logs")[0].strip()


def is_loopback(address: str) -> bool:
    """Whether a URL leads to this machine."""
    return urlsplit(address).hostname in {"127.0.0.1", "localhost", "::1"}


class Dashboard:
    """A Ray dashboard.

    Args:
        address: its URL.
        token: of the cluster.
        timeout_s: of one request.
    """

    def __init__(self, address: str, token: str, timeout_s: float = 15.0) -> None:
        self._parts = urlsplit(check_address(address))
        self._token, self._timeout_s = token, timeout_s

    def is_ready(self) -> bool:
        """Whether it answers the holder of the token."""
        try:
            return self._request("GET", "/api/version", self._token)[0] == _OK
        except (OSError, http.client.HTTPException):
            return False

    def refuses_strangers(self) -> bool:
        """Whether a job that is posted without a token is refused: submitting one runs code.

        Raises:
            ResourceError: it does not answer.
        """
        try:
            return self._request("POST", "/api/jobs/", None)[0] == _UNAUTHORIZED
        except (OSError, http.client.HTTPException) as error:
            raise ResourceError(f"the dashboard stopped answering while it was checked: {error!r}") from error

    def fetch_jobs(self) -> list[JobSummary]:
        """The submitted jobs, in the order in which they started.

        Raises:
            ResourceError: it does not answer, or refuses.
        """
        rows = [row for row in self._fetch("GET", "/api/jobs/") if row.get("submission_id")]
        rows.sort(key=lambda row: row.get("start_time") or 0)
        return [
            JobSummary(
                row["submission_id"],
                str(row.get("status", "")),
                shorten_message(row.get("message")),
                str((row.get("metadata") or {}).get("out", "")),
            )
            for row in rows
        ]

    def fetch_resources(self) -> dict[str, tuple[float, float]]:
        """(used, total) by resource, such as CPU and memory in bytes; empty while Ray has not counted them.

        Raises:
            ResourceError: it does not answer, or refuses.
        """
        answer = self._fetch("GET", "/api/cluster_status")
        try:
            usage = answer["data"]["clusterStatus"]["loadMetricsReport"]["usage"]
            return {
                name: (float(used), float(total))
                for name, (used, total) in usage.items()
                if not name.startswith(("node:", "object_store_memory_spilled"))
            }
        except (KeyError, TypeError, ValueError):
            return {}

    def stop_job(self, job_id: str) -> None:
        """Asks a job to end: it gets SIGTERM, and a sprint saves a checkpoint.

        Raises:
            ResourceError: it does not answer, or knows no such job.
        """
        self._fetch("POST", f"/api/jobs/{job_id}/stop")

    def _fetch(self, method: str, path: str) -> Any:
        try:
            status, body = self._request(method, path, self._token)
            if status == _OK:
                return json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ResourceError(f"the Ray dashboard at {self._parts.netloc} does not answer: {error}") from error
        text = body.decode(errors="replace").strip().splitlines()
        raise ResourceError(f"{method} {path} at {self._parts.netloc} answered {status}: {text[-1] if text else ''}")

    def _request(self, method: str, path: str, token: str | None) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout_s)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        body = "{}" if method == "POST" else None
        try:
            connection.request(method, self._parts.path + path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

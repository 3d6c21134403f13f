"""A head with a fault that Ray's own does not show on request; the real one is in tests/integration.

    python faulty_head.py PORT --die | --silent | --open | --cut

It dies at once, never answers, asks for no token, or cuts the first connection to a job's log after 40
characters, as a proxy does. Paths and answers are those of ray.dashboard.modules.job.job_head of Ray 2.60.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import aiohttp
from aiohttp import web

LOG = "".join(f"line {number} of a job that has ended\n" for number in range(40))


class FaultyHead:
    def __init__(self, token: str | None) -> None:
        self.token = token
        self.is_cut = False

    @web.middleware
    async def check_token(self, request: web.Request, handler):
        if self.token is not None and request.headers.get("Authorization", "") != f"Bearer {self.token}":
            return web.Response(status=401, text="Unauthorized")
        return await handler(request)

    async def version(self, request):
        return web.json_response(
            {"version": "4", "ray_version": metadata.version("ray"), "ray_commit": "", "session_name": "t"}
        )

    async def post(self, request):
        return web.Response(status=400, text="entrypoint is missing")

    async def info(self, request):
        job = {"type": "SUBMISSION", "submission_id": request.match_info["job_id"], "status": "SUCCEEDED"}
        return web.json_response({**job, "entrypoint": "true", "driver_exit_code": 0})

    async def tail(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if not self.is_cut:
            self.is_cut = True
            await socket.send_str(LOG[:40])
            request.transport.close()
            return socket
        await socket.send_str(LOG)
        await socket.close(code=aiohttp.WSCloseCode.OK)
        return socket

    def make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.check_token])
        app.router.add_get("/api/version", self.version)
        app.router.add_post("/api/jobs/", self.post)
        app.router.add_get("/api/jobs/{job_id}", self.info)
        app.router.add_get("/api/jobs/{job_id}/logs/tail", self.tail)
        return app


def main(port: int, mode: str) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # a daemon that outlives its parent
    if mode == "--die":
        sys.exit("this head dies at once")
    if mode == "--silent":
        time.sleep(600)
    token = None if mode == "--open" else Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text()
    web.run_app(FaultyHead(token).make_app(), host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

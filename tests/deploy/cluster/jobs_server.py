"""A head for tests: Ray's Jobs API in small, spoken to by Ray's own client.

    python jobs_server.py PORT [--open | --die | --silent]

It asks for the token of RAY_AUTH_TOKEN_PATH, keeps and unpacks uploaded packages, runs a job's command (in
this checkout, where kernels are compiled already) and streams what it prints. Paths and answers are those
of ray.dashboard.modules.job.job_head of Ray 2.60.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib import metadata
from pathlib import Path

import aiohttp
import psutil
from aiohttp import web

PROJECT = Path(__file__).resolve().parents[3]
ENDED = {"SUCCEEDED", "FAILED", "STOPPED"}


class JobsServer:
    def __init__(self, token: str | None) -> None:
        self.token = token
        self.packages: dict[str, bytes] = {}
        self.jobs: dict[str, dict] = {}
        self.processes: dict[str, subprocess.Popen] = {}
        self.stopping: dict[str, list[psutil.Process]] = {}
        self.root = Path(tempfile.mkdtemp())

    @web.middleware
    async def check_token(self, request: web.Request, handler):
        if self.token is not None:
            given = request.headers.get("Authorization", "")
            if not given:
                return web.Response(status=401, text="Unauthorized: Missing authentication token")
            if given != f"Bearer {self.token}":
                return web.Response(status=403, text="Forbidden: Invalid authentication token")
        return await handler(request)

    async def version(self, request):
        return web.json_response(
            {"version": "4", "ray_version": metadata.version("ray"), "ray_commit": "", "session_name": "t"}
        )

    async def package(self, request):
        uri = f"{request.match_info['protocol']}://{request.match_info['name']}"
        if request.method == "PUT":
            self.packages[uri] = await request.read()
        return web.Response(status=200 if uri in self.packages else 404)

    async def submit(self, request):
        wanted = await request.json()
        if "entrypoint" not in wanted:
            return web.Response(status=400, text="entrypoint is missing")
        job_id = wanted["submission_id"]
        package = io.BytesIO(self.packages[wanted["runtime_env"]["working_dir"]])
        with zipfile.ZipFile(package) as archive:
            archive.extractall(self.root / job_id)
        if not (self.root / job_id / "experiments" / "sprint.py").is_file():
            return web.Response(status=400, text="the package lacks the sprint")
        log = (self.root / f"{job_id}.log").open("wb")
        self.processes[job_id] = subprocess.Popen(
            wanted["entrypoint"],
            shell=True,
            cwd=PROJECT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": "", **wanted["runtime_env"].get("env_vars", {})},
            start_new_session=True,
        )
        self.jobs[job_id] = {
            "type": "SUBMISSION",
            "submission_id": job_id,
            "status": "RUNNING",
            "entrypoint": wanted["entrypoint"],
            "message": "Job is currently running.",
            "metadata": wanted["metadata"],
            "runtime_env": wanted["runtime_env"],
            "start_time": int(1000 * time.time()),
        }
        return web.json_response({"job_id": job_id, "submission_id": job_id})

    def look(self, job_id: str) -> dict:
        job = self.jobs[job_id]
        code = self.processes[job_id].poll()
        if job_id in self.stopping:
            if not any(map(_is_alive, self.stopping[job_id])):
                job["status"] = "STOPPED"
            return job
        if code is not None and job["status"] not in ENDED:
            job["status"] = "SUCCEEDED" if code == 0 else "FAILED"
            job["driver_exit_code"] = code
            job["message"] = f"Job entrypoint command ended with exit code {code}"
        return job

    async def list_jobs(self, request):
        return web.json_response([self.look(job_id) for job_id in self.jobs])

    async def info(self, request):
        job_id = request.match_info["job_id"]
        if job_id not in self.jobs:
            return web.Response(status=404, text=f"Job {job_id} does not exist")
        return web.json_response(self.look(job_id))

    async def stop(self, request):
        job_id = request.match_info["job_id"]
        if job_id not in self.jobs:
            return web.Response(status=404, text=f"Job {job_id} does not exist")
        job = psutil.Process(self.processes[job_id].pid)
        # On a cluster Ray's own processes are no children of the driver, and get no signal; here they are.
        drivers = [child for child in job.children() if "experiments.sprint" in child.cmdline()]
        self.stopping[job_id] = [job, *drivers]
        for member in self.stopping[job_id]:
            member.send_signal(signal.SIGTERM)
        return web.json_response({"stopped": True})

    async def logs(self, request):
        text = (self.root / f"{request.match_info['job_id']}.log").read_text()
        return web.json_response({"logs": text})

    async def tail(self, request):
        """Cuts the first connection after 40 characters, as a proxy does."""
        job_id = request.match_info["job_id"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        is_first = not self.jobs[job_id].setdefault("tailed", False)
        self.jobs[job_id]["tailed"] = True
        sent = 0
        while True:
            is_ended = self.look(job_id)["status"] in ENDED
            text = (self.root / f"{job_id}.log").read_text()
            if is_first and len(text) > 40:
                await socket.send_str(text[sent:40])
                request.transport.close()
                return socket
            if len(text) > sent:
                await socket.send_str(text[sent:])
                sent = len(text)
            if is_ended:
                break
            await asyncio.sleep(0.1)
        await socket.close(code=aiohttp.WSCloseCode.OK)
        return socket

    async def cluster_status(self, request):
        usage = {"CPU": [1.0, 2.0], "memory": [0.0, 2.0**31], "node:127.0.0.1": [0.0, 1.0]}
        return web.json_response({"data": {"clusterStatus": {"loadMetricsReport": {"usage": usage}}}})

    def make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.check_token], client_max_size=100 * 2**20)
        app.router.add_get("/api/version", self.version)
        app.router.add_get("/api/cluster_status", self.cluster_status)
        app.router.add_route("*", "/api/packages/{protocol}/{name}", self.package)
        app.router.add_get("/api/jobs/", self.list_jobs)
        app.router.add_post("/api/jobs/", self.submit)
        app.router.add_get("/api/jobs/{job_id}", self.info)
        app.router.add_post("/api/jobs/{job_id}/stop", self.stop)
        app.router.add_get("/api/jobs/{job_id}/logs", self.logs)
        app.router.add_get("/api/jobs/{job_id}/logs/tail", self.tail)
        return app


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main(port: int, mode: str) -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # a daemon that outlives its parent
    if mode == "--die":
        sys.exit("this head dies at once")
    if mode == "--silent":
        time.sleep(600)
    token = None if mode == "--open" else Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text()
    web.run_app(JobsServer(token).make_app(), host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")

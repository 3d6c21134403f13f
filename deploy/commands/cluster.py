"""``gaelp cluster`` and ``gaelp submit``: a Ray head on this machine, and the sprint as a Ray job."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands.options import Overrides
from gaelp_rl.errors import ResourceError

if TYPE_CHECKING:
    from deploy.cluster.folder import ClusterState
    from deploy.cluster.jobs import JobClient

__all__ = ["app", "down", "logs", "status", "stop", "submit", "up"]

_PROJECT = Path(__file__).resolve().parents[2]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Run a Ray cluster on this machine, for jobs that outlive the terminal.",
    epilog="Start with `gaelp cluster up`, then `gaelp submit`. Other clusters: docs/cluster.md.",
)

Folder = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the cluster: token, state, log.")]
Address = Annotated[
    str | None, typer.Option(metavar="URL", help="Dashboard of another cluster. Default: the one on this machine.")
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job, as `gaelp cluster status` lists it.")]
_FOLDER = Path("runs/cluster")


@app.command(epilog="Examples: `gaelp cluster up` · `gaelp cluster up --port 0 --dashboard-port 0 --num-cpus 8`")
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of Ray's control store; 0 takes a free one.")] = 6379,
    dashboard_port: Annotated[int, typer.Option(min=0, max=65535, help="Of dashboard and jobs; 0: a free one.")] = 8265,
    num_cpus: Annotated[int | None, typer.Option(min=1, help="CPUs for Ray to give out. Default: all cores.")] = None,
    memory: Annotated[int | None, typer.Option(min=256, metavar="MIB", help="Memory for Ray to give out.")] = None,
    object_store: Annotated[int, typer.Option(min=80, metavar="MIB", help="Limit of Ray's object store.")] = 512,
    pass_env: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An environment variable for jobs to see. Repeatable.")
    ] = None,
    folder: Folder = _FOLDER,
) -> None:
    """Start a Ray head that only this user's token opens; does nothing where one runs."""
    from deploy.cluster.folder import ClusterFolder
    from deploy.cluster.head import start_head, stop_head
    from deploy.cluster.processes import find_processes
    from deploy.cluster.program import HeadSettings, check_dashboard_packages
    from deploy.cluster.target import load_running_cluster

    files = ClusterFolder(folder)
    with files.locked():
        state = files.load()
        if state is not None and find_processes(state.cluster_id):
            typer.echo("a cluster runs here already:")
            _print_up(load_running_cluster(files))
            return
        if state is not None:
            typer.echo(f"the cluster of {state.started_at} ended without `gaelp cluster down`; its files are cleared")
            stop_head(files, state)
        check_dashboard_packages()
        settings = HeadSettings(port, dashboard_port, num_cpus, memory, object_store, tuple(pass_env or ()))
        typer.echo(f"starting a Ray head (10 to 60 s); log: {files.log}")
        _print_up(start_head(files, settings))


@app.command(epilog="Examples: `gaelp cluster down` · `gaelp cluster down --now`")
def down(
    now: Annotated[bool, typer.Option("--now", help="Do not let running jobs save first.")] = False,
    folder: Folder = _FOLDER,
) -> None:
    """Stop the cluster and all of its processes, and no other Ray; works after a crash too."""
    from deploy.cluster.folder import ClusterFolder
    from deploy.cluster.head import stop_head

    files = ClusterFolder(folder)
    with files.locked():
        state = files.load()
        if state is None:
            typer.echo(f"no cluster runs in {files.root}")
            return
        if not now:
            _stop_jobs(state)
        count = stop_head(files, state)
        typer.echo(f"stopped: {count} processes ended" if count else "it had died already; its files are cleared")


@app.command(epilog="Exit code 1 when no healthy cluster runs. Examples: `gaelp cluster status` · `... status --json`")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    folder: Folder = _FOLDER,
) -> None:
    """Say whether the cluster is up, what it has, which jobs it knows, and how to submit one."""
    from deploy.cluster.folder import ClusterFolder
    from deploy.cluster.status import make_report

    report = make_report(ClusterFolder(folder))
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _print_report(report)
    if report["health"] != "healthy":
        raise typer.Exit(1)


@app.command(epilog="Example: `gaelp cluster logs sprint-1a2b3c4d`")
def logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on until the job ends.")] = True,
    address: Address = None,
    folder: Folder = _FOLDER,
) -> None:
    """Show a job's output; the exit code is the job's."""
    client = _connect(address, folder)
    if follow:
        _follow(client, job_id, address)
    typer.echo(client.fetch_logs(job_id), nl=False)


@app.command(epilog="Example: `gaelp cluster stop sprint-1a2b3c4d`, then `gaelp submit --resume latest`")
def stop(job_id: JobId, address: Address = None, folder: Folder = _FOLDER) -> None:
    """Stop a job: a sprint ends its iteration and saves a checkpoint first."""
    from deploy.cluster.folder import ClusterFolder
    from deploy.cluster.program import STOP_WAIT_S
    from deploy.cluster.status import wait_for_jobs
    from deploy.cluster.target import find_target

    dashboard = find_target(address, ClusterFolder(folder)).dashboard
    dashboard.stop_job(job_id)
    left = wait_for_jobs(dashboard, {job_id}, STOP_WAIT_S + 10.0)
    outcome = "is still ending" if left else "has ended; a sprint goes on with: gaelp submit --resume latest"
    typer.echo(f"job {job_id} {outcome}")


def submit(
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes (days) to train on.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings, as TOML.")] = None,
    overrides: Overrides = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the whole run.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="PATH|latest", help="Go on from a checkpoint, with its settings.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the run is written.")] = None,
    address: Address = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end.")] = True,
    folder: Folder = _FOLDER,
) -> None:
    """Run the sprint as a Ray job, with its output here; the exit code is the job's."""
    from deploy.cluster.folder import ClusterFolder
    from deploy.cluster.jobs import JobClient, make_plain_command
    from deploy.cluster.sprint_job import make_sprint_job
    from deploy.cluster.target import find_target
    from deploy.cluster.upload import stage_upload

    target = find_target(address, ClusterFolder(folder))
    if target.is_open_to_listeners:
        typer.echo(f"warning: {target.address} is not https: token and code travel readable for the network", err=True)
    options = {"training.episodes": episodes, "training.seed": seed, "out": str(out) if out else None}
    flags = [f"{key}={json.dumps(setting)}" for key, setting in options.items() if setting is not None]
    job = make_sprint_job(_PROJECT, config, [*(overrides or []), *flags], resume, is_local=target.is_local)
    client = JobClient(target)
    with tempfile.TemporaryDirectory() as scratch:
        upload = stage_upload(_PROJECT, Path(scratch) / "checkout")
        job_id = client.submit_sprint(job, upload.folder, _PROJECT)
    typer.echo(f"job {job_id} submitted to {target.address} with {upload.size}")
    typer.echo(f"results: {job.config.out.absolute() if target.is_local else job.config.out}")
    typer.echo(f"the same by Ray's own command, from {_PROJECT}:\n  {make_plain_command(target, job)}")
    if wait:
        _follow(client, job_id, address)
    _print_handles(job_id, address)


def _follow(client: JobClient, job_id: str, address: str | None) -> None:
    """Shows a job's output until it ends, and ends this process with its exit code."""
    from deploy.cluster.dashboard import shorten_message
    from deploy.cluster.jobs import DETACHED

    try:
        code = client.follow(job_id, _write)
    except KeyboardInterrupt:
        typer.echo(f"\ndetached; job {job_id} goes on")
        _print_handles(job_id, address)
        raise typer.Exit(DETACHED) from None
    info = client.fetch_info(job_id)
    typer.echo(f"job {job_id}: {info.status.lower()}" + (f" ({shorten_message(info.message)})" if code else ""))
    raise typer.Exit(code)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _print_handles(job_id: str, address: str | None) -> None:
    suffix = f" --address {address}" if address else ""
    typer.echo(f"  follow it: gaelp cluster logs {job_id}{suffix}\n  stop it:   gaelp cluster stop {job_id}{suffix}")


def _connect(address: str | None, folder: Path) -> JobClient:
    from deploy.cluster.folder import ClusterFolder
    from deploy.cluster.jobs import JobClient
    from deploy.cluster.target import find_target

    return JobClient(find_target(address, ClusterFolder(folder)))


def _stop_jobs(state: ClusterState) -> None:
    from deploy.cluster.dashboard import Dashboard
    from deploy.cluster.head import read_token
    from deploy.cluster.program import STOP_WAIT_S
    from deploy.cluster.status import wait_for_jobs

    try:
        dashboard = Dashboard(state.address, read_token(state.token_file))
        running = {job.job_id for job in dashboard.fetch_jobs() if not job.is_ended}
        for job_id in running:
            typer.echo(f"stopping job {job_id}; a sprint saves a checkpoint first")
            dashboard.stop_job(job_id)
        wait_for_jobs(dashboard, running, STOP_WAIT_S + 10.0)
    except ResourceError as error:
        typer.echo(f"jobs could not be stopped in order: {error}", err=True)


def _print_up(state: ClusterState) -> None:
    typer.echo(f"dashboard and jobs: {state.address} (asks for the token in {state.token_file})")
    typer.echo("submit a sprint:    gaelp submit --episodes 100000")
    typer.echo("look, stop:         gaelp cluster status, gaelp cluster down")


def _print_report(report: dict[str, Any]) -> None:
    typer.echo(f"cluster: {report['health']}" + (f" ({report['detail']})" if report["detail"] else ""))
    if report["health"] != "healthy":
        return
    typer.echo(f"address: {report['address']} (token in {report['token_file']})")
    for name, (used, total) in sorted(report["resources"].items()):
        is_bytes = "memory" in name.lower()
        scale, unit = (2**30, " GiB") if is_bytes else (1, "")
        typer.echo(f"  {name}: {used / scale:.4g} of {total / scale:.4g}{unit} in use")
    for job in report["jobs"]:
        typer.echo(f"job {job['id']}: {job['status'].lower()} {job['out']}".rstrip())
    typer.echo("submit a sprint:")
    for command in report["commands"]:
        typer.echo(f"  {command}")

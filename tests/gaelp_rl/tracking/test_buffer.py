"""A store that goes away: nobody stops at once, and no number is lost."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.tracking import Tracker, connect, resume_run, start_run
from gaelp_rl.tracking.buffer import WriteBuffer
from tests.postgresql import PASSWORD, PrivatePostgreSQL

pytestmark = pytest.mark.integration


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class FlakyClient:
    """Stands where MLflow's client does; ``is_away`` makes every request fail."""

    def __init__(self) -> None:
        self.is_away = False
        self.requests = 0
        self.written: list[tuple[str, float, int]] = []
        self.tags: dict[str, str] = {}

    def log_batch(self, run_id: str, metrics=(), tags=()) -> None:
        self.requests += 1
        if self.is_away:
            raise OSError("connection refused")
        self.written += [(metric.key, metric.value, metric.step) for metric in metrics]
        self.tags |= {tag.key: tag.value for tag in tags}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client() -> FlakyClient:
    return FlakyClient()


@pytest.fixture
def buffer(client: FlakyClient, clock: Clock, tmp_path: Path) -> WriteBuffer:
    config = TrackingConfig(database=tmp_path / "mlflow.db", metric_delay_s=0.0, outage_limit_s=100.0)
    return WriteBuffer(client, config, "run", clock)


def test_outage__is_told_once_asked_again_ever_more_rarely_and_loses_nothing(
    buffer: WriteBuffer, client: FlakyClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked at 0, 1, 3, 7, 15, 31 and 61 seconds of an outage: waits of 1, 2, 4, 8, 16 and 30."""
    client.is_away = True
    with caplog.at_level(logging.WARNING):
        for step in range(62):
            buffer.add([("fho", step / 100, 0, step)], {"newest": str(step)})
            clock.now_s += 1.0
    assert client.requests == 7
    assert [record.message.count("Nothing is lost") for record in caplog.records] == [1]
    client.is_away = False
    clock.now_s += 30.0
    buffer.add([], {})
    assert client.written == [("fho", step / 100, step) for step in range(62)]
    assert client.tags == {"newest": "61"}
    assert "answers again" in caplog.records[-1].message


def test_outage__ends_the_run_after_its_limit(buffer: WriteBuffer, client: FlakyClient, clock: Clock) -> None:
    client.is_away = True
    buffer.add([("fho", 0.5, 0, 1)], {})
    clock.now_s += 99.0
    buffer.add([("fho", 0.5, 0, 2)], {})
    clock.now_s += 30.0
    with pytest.raises(ResourceError, match="connection refused"):
        buffer.add([("fho", 0.5, 0, 3)], {})
    client.is_away = False
    buffer.flush()
    assert [step for _, _, step in client.written] == [1, 2, 3]


def test_close__asks_again_then_saves_what_is_left_for_the_next_process(
    buffer: WriteBuffer, client: FlakyClient, clock: Clock
) -> None:
    client.is_away = True
    buffer.add([("fho", 0.5, 7, 1), ("loss", float("nan"), 7, 1)], {"checkpoint": "a"})
    waits: list[float] = []
    with pytest.raises(ResourceError, match=r"2 numbers and 1 tags are kept in .*run\.json and sent when") as caught:
        buffer.close(lambda: None, patience_s=6.0, sleep=waits.append)
    assert waits == [1.0, 2.0, 4.0]
    assert str(buffer.spill_path) in str(caught.value)
    client.is_away = False
    resumed = WriteBuffer(client, buffer._config, "run", clock)
    resumed.load_spill()
    assert [(name, step) for name, _, step in client.written] == [("fho", 1), ("loss", 1)]
    assert client.tags == {"checkpoint": "a"}
    assert not resumed.spill_path.exists()


def test_close__a_store_that_comes_back_in_time_ends_the_run(buffer: WriteBuffer, client: FlakyClient) -> None:
    ended: list[int] = []

    def finish() -> None:
        if client.is_away:
            raise OSError("still away")
        ended.append(len(client.written))

    client.is_away = True
    buffer.add([("fho", 0.5, 7, 1)], {})
    buffer.close(finish, patience_s=6.0, sleep=lambda wait_s: setattr(client, "is_away", False))
    assert ended == [1], "the numbers are written before the run ends"


def test_server_restart__loses_no_number(
    postgresql: PrivatePostgreSQL, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real server, killed and started again under a run."""
    (tmp_path / "uri").write_text(postgresql.create_database("restart"))
    config = TrackingConfig(
        tracking_uri_file=tmp_path / "uri",
        database=tmp_path / "mlflow.db",
        artifact_root=tmp_path / "artifacts",
        metric_delay_s=0.0,
        system_metrics=False,
    )
    clock = Clock()
    with caplog.at_level(logging.WARNING), start_run(config, "restarted", clock=clock) as tracker:
        tracker.log_metrics({"fho": 0.1}, 1)
        postgresql.stop()
        try:
            tracker.log_metrics({"fho": 0.2}, 2)
            tracker.set_tags({"checkpoint": "b"})
            with pytest.raises(ResourceError, match="could not record metrics and tags of run"):
                tracker.flush()
        finally:
            postgresql.start()
        clock.now_s += 2.0
        tracker.log_metrics({"fho": 0.3}, 3)
    client = connect(config)
    assert [point.value for point in client.get_metric_history(tracker.run_id, "fho")] == [0.1, 0.2, 0.3]
    run = client.get_run(tracker.run_id)
    assert (run.info.status, run.data.tags["checkpoint"]) == ("FINISHED", "b")
    assert "Nothing is lost" in caplog.text
    assert PASSWORD not in caplog.text


def test_killed_while_the_server_is_away__the_resumed_run_sends_the_rest(
    postgresql: PrivatePostgreSQL, tmp_path: Path
) -> None:
    (tmp_path / "uri").write_text(postgresql.create_database("killed"))
    config = TrackingConfig(tracking_uri_file=tmp_path / "uri", database=tmp_path / "m.db", system_metrics=False)
    tracker = start_run(config, "killed")
    tracker.log_metrics({"fho": 0.4}, 4)
    postgresql.stop()
    interrupt = KeyboardInterrupt()
    try:
        tracker.__exit__(KeyboardInterrupt, interrupt, None)
    finally:
        postgresql.start()
    assert "kept in" in interrupt.__notes__[0]
    assert PASSWORD not in "".join(path.read_text() for path in (tmp_path / "unsent").iterdir())
    resume_run(config, tracker.run_id).finish()
    assert connect(config).get_run(tracker.run_id).data.metrics == {"fho": 0.4}


_WRITER = """
import sys
from pathlib import Path
from gaelp_rl.config.loading import load_config
from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.tracking import ModelRegistry, start_run
config = load_config(TrackingConfig, Path(sys.argv[1]))
with start_run(config, sys.argv[2]) as tracker:
    for step in range(60):
        tracker.log_metrics({"fho": step / 60, "loss": 1.0}, step)
        tracker.flush()
    for _ in range(3):
        ModelRegistry(config).register(Path(sys.argv[3]), tracker.run_id)
print(tracker.run_id)
"""


def test_two_writers_at_once__each_run_is_complete(
    tracking_config: TrackingConfig, tracker: Tracker, artifact: Path, tmp_path: Path
) -> None:
    """Two processes write runs and register versions of one model in one store."""
    from gaelp_rl.config.loading import dump_config

    config = tracking_config.model_copy(update={"model_name": "two-writers", "metric_delay_s": 600.0})
    (tmp_path / "tracking.toml").write_text(dump_config(config))
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "tracking.toml")]
    writers = [
        subprocess.Popen([*command, name, str(artifact)], stdout=subprocess.PIPE, text=True) for name in ("one", "two")
    ]
    run_ids = [writer.communicate(timeout=120)[0].strip() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    client = connect(config)
    for run_id in run_ids:
        history = client.get_metric_history(run_id, "fho")
        assert [point.step for point in history] == list(range(60))
        assert client.get_run(run_id).info.status == "FINISHED"
    versions = client.search_model_versions("name = 'two-writers'")
    assert sorted(int(version.version) for version in versions) == [1, 2, 3, 4, 5, 6]

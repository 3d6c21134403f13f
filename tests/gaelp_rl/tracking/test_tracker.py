from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import FieldError, ResourceError, UnknownReferenceError
from gaelp_rl.tracking import Tracker, connect, resume_run, start_run

if TYPE_CHECKING:
    from mlflow.entities import Run

pytestmark = pytest.mark.integration


def fetch_run(config: TrackingConfig, tracker: Tracker) -> Run:
    return connect(config).get_run(tracker.run_id)


def fetch_history(config: TrackingConfig, tracker: Tracker, name: str) -> list[tuple[int, float, int]]:
    points = connect(config).get_metric_history(tracker.run_id, name)
    return [(point.step, point.value, point.timestamp) for point in points]


def test_start_run__ends_as_its_block_ends(tracking_config: TrackingConfig) -> None:
    with start_run(tracking_config, "good", tags={"seed": "1"}) as good:
        assert fetch_run(tracking_config, good).info.status == "RUNNING"
    with pytest.raises(ValueError, match="boom"), start_run(tracking_config, "bad") as bad:
        raise ValueError("boom")
    with pytest.raises(KeyboardInterrupt), start_run(tracking_config, "stopped") as stopped:
        raise KeyboardInterrupt
    runs = [fetch_run(tracking_config, tracker) for tracker in (good, bad, stopped)]
    assert [run.info.status for run in runs] == ["FINISHED", "FAILED", "KILLED"]
    assert runs[0].info.run_name == "good"
    assert runs[0].data.tags["seed"] == "1"


def test_start_child__is_shown_under_its_parent(tracking_config: TrackingConfig, tracker: Tracker) -> None:
    with tracker.start_child("seed-1", tags={"seed": "1"}) as child:
        child.log_metrics({"fho": 0.5}, step=1)
    run = fetch_run(tracking_config, child)
    assert run.data.tags["mlflow.parentRunId"] == tracker.run_id
    assert run.data.metrics == {"fho": 0.5}
    assert fetch_run(tracking_config, tracker).data.metrics == {}


def test_log_params__beyond_the_limits_of_one_request(tracking_config: TrackingConfig, tracker: Tracker) -> None:
    """250 parameters (MLflow takes 100 at once), one of 7,000 characters (MLflow takes 6,000)."""
    params = {"training": {f"p{i}": i for i in range(249)}, "text": "x" * 7000}
    tracker.log_params(params)
    recorded = fetch_run(tracking_config, tracker).data.params
    assert len(recorded) == 250
    assert recorded["training.p248"] == "248"
    assert recorded["text"].endswith("(7000 characters)")
    full = connect(tracking_config).download_artifacts(tracker.run_id, "params.json")
    assert json.loads(Path(full).read_text()) == params


def test_log_metrics__keeps_steps_times_and_order(tracking_config: TrackingConfig) -> None:
    with start_run(tracking_config, "metrics", clock=lambda: 1234.5) as tracker:
        for step in (0, 24, 48):
            tracker.log_metrics({"train/loss": step / 10}, step)
    assert fetch_history(tracking_config, tracker, "train/loss") == [
        (0, 0.0, 1_234_500),
        (24, 2.4, 1_234_500),
        (48, 4.8, 1_234_500),
    ]


def test_log_metrics__written_when_the_batch_is_full_or_late(tracking_config: TrackingConfig) -> None:
    config = tracking_config.model_copy(update={"metric_batch": 3, "metric_delay_s": 10.0})
    now_s = 1000.0
    with start_run(config, "buffer", clock=lambda: now_s) as tracker:
        tracker.log_metrics({"a": 1.0, "b": 1.0}, 0)
        assert fetch_history(config, tracker, "a") == []
        tracker.log_metrics({"a": 2.0}, 1)
        assert len(fetch_history(config, tracker, "a")) == 2
        tracker.log_metrics({"a": 3.0}, 2)
        now_s = 1009.0
        tracker.log_metrics({"a": 4.0}, 3)
        assert len(fetch_history(config, tracker, "a")) == 2
        now_s = 1010.0
        tracker.log_metrics({"b": 4.0}, 3)
        assert len(fetch_history(config, tracker, "a")) == 4


def test_log_metrics__more_than_one_request_at_once(tracking_config: TrackingConfig, tracker: Tracker) -> None:
    tracker.log_metrics({f"m{i}": float(i) for i in range(1234)}, step=7)
    tracker.flush()
    metrics = fetch_run(tracking_config, tracker).data.metrics
    assert metrics == {f"m{i}": float(i) for i in range(1234)}


def test_log_metrics__what_is_not_finite_stays_visible_as_nan(
    tracking_config: TrackingConfig, tracker: Tracker
) -> None:
    tracker.log_metrics({"a": math.nan, "b": math.inf, "c": -math.inf}, step=0)
    tracker.flush()
    assert all(math.isnan(number) for number in fetch_run(tracking_config, tracker).data.metrics.values())


@pytest.mark.parametrize("name", ["cpa $", "", "/a", "a/", "a//b", "a/../b", "..", "./a", "x" * 251])
def test_log_metrics__names_the_name_that_mlflow_would_refuse(tracker: Tracker, name: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException):
        tracker._client.log_metric(tracker.run_id, name, 1.0)
    with pytest.raises(FieldError, match="metric name"):
        tracker.log_metrics({name: 1.0}, step=0)


def test_log_artifact__file_and_directory(tracking_config: TrackingConfig, tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "curve.png").write_bytes(b"png")
    (tmp_path / "report.html").write_text("<p>")
    tracker.log_artifact(tmp_path / "plots", "plots")
    tracker.log_artifact(tmp_path / "report.html")
    client = connect(tracking_config)
    assert [entry.path for entry in client.list_artifacts(tracker.run_id)] == ["plots", "report.html"]
    assert [entry.path for entry in client.list_artifacts(tracker.run_id, "plots")] == ["plots/curve.png"]
    with pytest.raises(ResourceError, match=r"could not copy .*absent"):
        tracker.log_artifact(tmp_path / "absent.png")


def test_resume_run__continues_and_tells_what_changed(tracking_config: TrackingConfig) -> None:
    first = start_run(tracking_config, "sprint")
    first.log_params({"episodes": 100, "seed": 1})
    first.log_metrics({"fho": 0.1}, step=100)
    first.finish("KILLED")
    with resume_run(tracking_config, first.run_id) as second:
        second.log_params({"episodes": 200, "seed": 1, "new": "x"})
        second.log_metrics({"fho": 0.2}, step=200)
    run = fetch_run(tracking_config, first)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"episodes": "100", "seed": "1", "new": "x"}
    assert run.data.tags["resumed.episodes"] == "200"
    assert [point[:2] for point in fetch_history(tracking_config, first, "fho")] == [(100, 0.1), (200, 0.2)]


def test_resume_run__unknown_run(tracking_config: TrackingConfig) -> None:
    with pytest.raises(UnknownReferenceError, match="no run '0000' can be resumed"):
        resume_run(tracking_config, "0000")


def test_tracker__failing_store_does_not_hide_the_error_of_the_job(
    tracking_config: TrackingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = start_run(tracking_config, "lost")

    def fail(*arguments: object, **settings: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(tracker._client, "set_terminated", fail)
    with pytest.raises(ValueError, match="boom") as caught, tracker:
        raise ValueError("boom")
    assert "record is incomplete" in caught.value.__notes__[0]


def test_flush__keeps_what_could_not_be_written(
    tracking_config: TrackingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise OSError("disk full")

    with start_run(tracking_config, "flaky") as tracker:
        tracker.log_metrics({"fho": 0.3}, step=1)
        with monkeypatch.context() as patched:
            patched.setattr(tracker._client, "log_batch", fail)
            with pytest.raises(ResourceError, match=r"disk full.*disk has room"):
                tracker.flush()
    assert fetch_run(tracking_config, tracker).data.metrics == {"fho": 0.3}

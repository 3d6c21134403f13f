"""Samples against what this process is known to do."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from gaelp_rl.config.tracking import TrackingConfig
from gaelp_rl.errors import ResourceError
from gaelp_rl.tracking import connect, resume_run, start_run
from gaelp_rl.tracking.system_metrics import RECORDED_S, SystemMonitor, SystemSampler, _compute_busy_share


def test_sample__cpu_of_this_process_and_its_children(tmp_path: Path) -> None:
    """A child that burns 0.4 s of CPU is seen, and so is what this process burns itself."""
    sampler = SystemSampler(tmp_path)
    started_s, before_s = time.monotonic(), time.process_time()
    burn = "import time\nwhile time.process_time() < 0.4: pass\nprint('burnt', flush=True)\ninput()"
    command = [sys.executable, "-c", burn]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        sampled = sampler.sample()
        elapsed_s, own_s = time.monotonic() - started_s, time.process_time() - before_s
        child.communicate(b"\n")
    assert sampled["system/processes"] >= 2
    assert sampled["system/cpu_cores"] * elapsed_s == pytest.approx(0.4 + own_s, abs=0.1)


def test_sample__memory_disk_and_network(tmp_path: Path) -> None:
    sampler = SystemSampler(tmp_path / "not" / "made" / "yet")
    before = sampler.sample()["system/memory_bytes"]
    with mmap.mmap(-1, 64_000_000) as block:  # the allocator may reuse pages that another test has freed
        block.write(b"x" * len(block))
        sampled = sampler.sample()
    assert sampled["system/memory_bytes"] - before == pytest.approx(64_000_000, rel=0.2)
    assert sampled["system/disk_free_bytes"] == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.05)
    assert 0.0 <= sampled["system/machine_cpu_share"] <= 1.0
    assert all(number >= 0.0 for number in sampled.values())
    assert {"system/machine_network_received_bytes_per_s", "system/machine_network_sent_bytes_per_s"} < set(sampled)


def test_busy_share__between_two_measurements() -> None:
    """Of 8 CPU seconds, 6 were idle: a quarter was busy."""
    assert _compute_busy_share((100.0, 150.0), (106.0, 158.0)) == pytest.approx(0.25)
    assert _compute_busy_share((100.0, 150.0), (100.0, 150.0)) == 0.0
    assert _compute_busy_share((100.0, 150.0), (100.0, 151.0)) == 1.0


def test_sample__sees_a_busy_machine_from_any_thread(tmp_path: Path) -> None:
    """The first sample of another thread too: it has something to compare with."""
    sampler, sampled = SystemSampler(tmp_path), {}
    deadline = time.process_time() + 0.2
    while time.process_time() < deadline:
        pass
    thread = threading.Thread(target=lambda: sampled.update(sampler.sample()))
    thread.start()
    thread.join()
    assert sampled["system/machine_cpu_share"] > 0.5 / (os.cpu_count() or 1)


def test_monitor__samples_until_it_is_stopped_and_goes_on_where_the_run_was(tmp_path: Path) -> None:
    logged: list[tuple[Mapping[str, float], int]] = []
    monitor = SystemMonitor(lambda *entry: logged.append(entry), SystemSampler(tmp_path), 0.02, recorded_s=100.0)
    monitor.start()
    while len(logged) < 3:
        time.sleep(0.01)
    monitor.stop()
    count = len(logged)
    monitor.stop()
    time.sleep(0.1)
    assert len(logged) == count >= 4
    assert all(step == int(sampled[RECORDED_S]) >= 100 for sampled, step in logged)


def test_monitor__ends_when_the_store_is_gone_for_good(tmp_path: Path) -> None:
    def refuse(metrics: Mapping[str, float], step: int) -> None:
        raise ResourceError("gone")

    monitor = SystemMonitor(refuse, SystemSampler(tmp_path), 0.01)
    monitor.start()
    monitor._thread.join(timeout=10)
    assert not monitor._thread.is_alive()


def test_sample__costs_little(tmp_path: Path) -> None:
    """At one sample in 10 seconds, below one per cent of a core."""
    sampler = SystemSampler(tmp_path)
    before_s = time.process_time()
    for _ in range(5):
        sampler.sample()
    assert (time.process_time() - before_s) / 5 < 0.1


@pytest.mark.integration
def test_run__is_sampled_while_it_lasts_also_after_it_was_resumed(tracking_config: TrackingConfig) -> None:
    config = tracking_config.model_copy(update={"system_metrics": True, "system_metrics_every_s": 0.05})
    client = connect(config)
    with start_run(config, "sampled") as tracker:
        time.sleep(1.2)
    first = client.get_metric_history(tracker.run_id, RECORDED_S)
    with resume_run(config, tracker.run_id):
        time.sleep(0.3)
    both = client.get_metric_history(tracker.run_id, RECORDED_S)
    seconds = [point.value for point in both]
    assert len(both) > len(first) >= 3
    assert seconds == sorted(seconds)
    assert seconds[len(first)] >= first[-1].value >= 1.0
    with start_run(tracking_config, "switched off") as quiet:
        time.sleep(0.2)
    assert client.get_run(quiet.run_id).data.metrics == {}

from __future__ import annotations

import itertools

import pytest

from deploy.cluster import program
from deploy.cluster.program import HeadSettings, check_dashboard_packages, make_head_command, make_head_environment
from gaelp_rl.errors import ResourceError


def test_environment__of_the_head_holds_no_password(tmp_path):
    """Who holds the token runs code in these processes."""
    environment = {
        "PATH": "/bin",
        "GOOGLE_ADS_REFRESH_TOKEN": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "RAY_AUTH_TOKEN": "hunter2",
        "RAY_ADDRESS": "elsewhere:6379",
        "NUMBA_CACHE_DIR": "/stale",
        "PGPASSFILE": "/secrets/pg",
    }
    made = make_head_environment(environment, "mark", tmp_path / "token", ["PGPASSFILE"])
    assert "hunter2" not in made.values()
    assert not {"RAY_ADDRESS", "RAY_AUTH_TOKEN", "NUMBA_CACHE_DIR"} & set(made)
    assert made["PGPASSFILE"] == "/secrets/pg"
    assert made["RAY_AUTH_MODE"] == "token"
    with pytest.raises(ResourceError, match="MISSING"):
        make_head_environment(environment, "mark", tmp_path / "token", ["MISSING"])


def test_command__keeps_dashboard_and_store_in_bounds(tmp_path):
    settings = HeadSettings(port=6379, dashboard_port=8265, num_cpus=3, memory_mib=1024, object_store_mib=512)
    words = make_head_command(settings, tmp_path)
    options = dict(itertools.pairwise(words))
    assert options["--dashboard-host"] == "127.0.0.1"
    assert options["--object-store-memory"] == str(512 * 2**20)
    assert options["--memory"] == str(2**30)
    assert options["--num-cpus"] == "3"
    assert "stop" not in words


def test_dashboard_packages__that_are_missing_are_named(monkeypatch):
    monkeypatch.setattr(program, "_DASHBOARD_PACKAGES", ("json", "no_such_package"))
    with pytest.raises(ResourceError, match=r"not installed: no_such_package\. Run `make setup`"):
        check_dashboard_packages()

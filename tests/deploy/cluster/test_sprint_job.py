from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from deploy.cluster.sprint_job import SprintJob, make_sprint_job
from gaelp_rl.config.sprint import SprintConfig, dump_settings, load_sprint_config
from gaelp_rl.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[3]
CLUSTER_CONFIG = PROJECT / "experiments" / "configs" / "sprint-cluster.toml"


def read_back(job: SprintJob) -> SprintConfig:
    """The settings that the job's program will make of its command."""
    words = shlex.split(job.entrypoint)
    overrides = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    config = Path(words[words.index("--config") + 1]) if "--config" in words else None
    resume = words[words.index("--resume") + 1] if "--resume" in words else None
    return load_sprint_config(config, overrides, resume)


def test_local_job__writes_where_the_command_was_given(tmp_path, monkeypatch):
    """Its own folder is a temporary copy: a relative path would be lost with it."""
    monkeypatch.chdir(tmp_path)
    job = make_sprint_job(PROJECT, None, ["training.episodes=7"], None, is_local=True)
    monkeypatch.chdir("/")
    config = read_back(job)
    assert config.training.episodes == 7
    assert config.out == tmp_path / "runs" / "sprint"
    assert config.tracking.database == tmp_path / "runs" / "mlflow.db"
    assert config.tracking.artifact_root == tmp_path / "runs" / "mlartifacts"
    assert job.python == sys.executable


def test_local_job__keeps_a_tracking_server_and_makes_other_paths_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.pub").write_text("")
    overrides = ['tracking.tracking_uri="http://127.0.0.1:5000"', 'trust.public_key_files=["key.pub"]']
    job = make_sprint_job(PROJECT, None, overrides, None, is_local=True)
    config = read_back(job)
    assert config.trust.public_key_files == (tmp_path / "key.pub",)
    assert "tracking.database" not in job.entrypoint


def test_local_job__resumes_with_the_settings_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = load_sprint_config(None, ["training.seed=5", f'out="{tmp_path / "runs" / "sprint"}"'], None)
    saved.out.mkdir(parents=True)
    (saved.out / "sprint.toml").write_text(dump_settings(saved))
    job = make_sprint_job(PROJECT, None, [], "latest", is_local=True)
    monkeypatch.chdir("/")
    assert shlex.split(job.entrypoint)[3:5] == ["--resume", "latest"]
    assert read_back(job).training.seed == 5


def test_remote_job__with_paths_that_vanish_is_refused():
    with pytest.raises(ConfigError, match=r"out, tracking\.database, tracking\.artifact_root must be absolute"):
        make_sprint_job(PROJECT, None, [], None, is_local=False)
    overrides = ['tracking.tracking_uri="https://mlflow.example.com"']
    with pytest.raises(ConfigError, match=r"^out must be absolute"):
        make_sprint_job(PROJECT, None, overrides, None, is_local=False)


def test_remote_job__names_the_config_as_it_travels():
    job = make_sprint_job(PROJECT, CLUSTER_CONFIG, ["training.seed=3"], "latest", is_local=False)
    assert job.entrypoint == (
        "python -m experiments.sprint --config experiments/configs/sprint-cluster.toml --resume latest "
        "--set training.seed=3"
    )


def test_remote_job__with_a_config_that_does_not_travel_is_refused(tmp_path):
    outside = tmp_path / "sprint.toml"
    outside.write_text(CLUSTER_CONFIG.read_text())
    with pytest.raises(ConfigError, match="must lie in the checkout"):
        make_sprint_job(PROJECT, outside, [], None, is_local=False)


@pytest.mark.parametrize(
    "override",
    ['tracking.tracking_uri="postgresql://gaelp:hunter2@db/mlflow"', 'trust.signing_key="-----BEGIN hunter2"'],
)
def test_job__never_shows_a_secret(override):
    """Everyone who may list jobs reads their commands."""
    with pytest.raises(ConfigError) as caught:
        make_sprint_job(PROJECT, None, [override], None, is_local=True)
    assert "hunter2" not in str(caught.value)


def test_job__with_a_bad_setting_is_refused_before_it_travels():
    with pytest.raises(ConfigError, match="batch_sise"):
        make_sprint_job(PROJECT, None, ["training.batch_sise=3"], None, is_local=True)

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.cluster.upload import MIB, list_upload_files, stage_upload
from gaelp_rl.errors import ResourceError

PROJECT = Path(__file__).resolve().parents[3]


def write(folder: Path, name: str, text: str = "x") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_upload__leaves_secrets_runs_and_caches_behind(tmp_path):
    kept = ["envs/market.py", "connectors/credentials.py", "market.toml", "requirements/lock.txt"]
    stays = [
        ".env",
        ".git/config",
        ".venv/lib/x.py",
        "environment/pyvenv.cfg",
        "environment/lib/x.py",
        "runs/cluster/token",
        "runs/sprint/policy/weights.safetensors",
        "google-credentials.json",
        "signing.key",
        "signing.pem",
        "api_token.txt",
        "mlflow.db",
        "envs/__pycache__/market.pyc",
        "gaelp_rl.egg-info/PKG-INFO",
        "tests/test_x.py",
    ]
    for name in [*kept, *stays]:
        write(tmp_path, name)
    (tmp_path / "link.toml").symlink_to(tmp_path / "signing.key")
    assert [path.as_posix() for path in list_upload_files(tmp_path)] == sorted(kept)


def test_upload__of_this_project_is_small_and_holds_what_the_sprint_needs(tmp_path):
    upload = stage_upload(PROJECT, tmp_path / "copy")
    assert upload.bytes < 10 * MIB
    assert sum(path.is_file() for path in (tmp_path / "copy").rglob("*")) == upload.files
    needed = ("experiments/sprint.py", "experiments/configs/sprint-cluster.toml", "requirements/lock.txt")
    assert all((upload.folder / name).is_file() for name in needed)


def test_upload__above_the_limit_names_what_is_large(tmp_path):
    write(tmp_path, "checkout/data/history.csv", "x" * 3000)
    write(tmp_path, "checkout/envs/market.py")
    with pytest.raises(ResourceError, match=r"history\.csv"):
        stage_upload(tmp_path / "checkout", tmp_path / "copy", max_bytes=2000)
    assert not (tmp_path / "copy").exists()

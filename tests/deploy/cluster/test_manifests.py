"""The files that larger clusters are made from, against the schemas of who reads them."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml

from deploy.cluster.pending import PENDING_IMPORT_PATHS
from gaelp_rl.config.sprint import SprintConfig, load_sprint_config

PROJECT = Path(__file__).resolve().parents[3]
CLUSTER = PROJECT / "deploy" / "cluster"
KUBERAY = {"rayjob.yaml": "rayjobs.schema.json", "rayservice.yaml": "rayservices.schema.json"}
CONTAINER_PATH = "/app/"


def load_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def load_strict_schema(name: str) -> dict[str, Any]:
    """Kubernetes drops unknown fields silently: here they are errors."""
    schema = json.loads((PROJECT / "tests" / "data" / "kuberay" / name).read_text(encoding="utf-8"))
    _forbid_unknown(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _forbid_unknown(node: Any) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and "additionalProperties" not in node:
            node["additionalProperties"] = False
        if node.pop("x-kubernetes-int-or-string", False):
            node.pop("type", None)
        for child in node.values():
            _forbid_unknown(child)
    elif isinstance(node, list):
        for child in node:
            _forbid_unknown(child)


def find_cluster_spec(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["spec"].get("rayClusterSpec") or manifest["spec"]["rayClusterConfig"]


def list_groups(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    spec = find_cluster_spec(manifest)
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


@pytest.fixture(params=sorted(KUBERAY))
def manifest(request) -> dict[str, Any]:
    return load_yaml(CLUSTER / "kuberay" / request.param)


def test_ray_cluster__fits_the_schema_that_ray_ships():
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8"))
    cluster = load_yaml(CLUSTER / "ray-cluster.yaml")
    jsonschema.validate(cluster, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster | {"max_wrokers": 1}, schema)


@pytest.mark.parametrize(("name", "schema"), KUBERAY.items())
def test_kuberay_manifest__fits_the_custom_resource(name, schema):
    """A misspelt field and an unknown mode show that the check can fail."""
    strict = load_strict_schema(schema)
    manifest = load_yaml(CLUSTER / "kuberay" / name)
    assert not list_faults(manifest, strict)
    find_cluster_spec(manifest)["authOptions"]["mode"] = "tokens"
    manifest["spec"]["shutdownAfterJobFinish"] = True
    faults = list_faults(manifest, strict)
    assert len(faults) == 2
    assert any("'tokens'" in fault for fault in faults)
    assert any("shutdownAfterJobFinish" in fault for fault in faults)


def list_faults(manifest: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(manifest)]


def test_kuberay_manifest__asks_for_the_token_of_a_secret(manifest):
    assert find_cluster_spec(manifest)["authOptions"] == {"mode": "token", "secretName": "gaelp-ray-token"}
    for group in list_groups(manifest):
        pod = group["template"]["spec"]
        (token,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        assert token == {"secretName": "gaelp-ray-token", "defaultMode": 0o400}
        (container,) = pod["containers"]
        variables = {item["name"]: item.get("value", "") for item in container["env"]}
        assert set(variables) == {"RAY_AUTH_TOKEN_PATH"}, "a token never stands in a manifest"
        assert any(variables["RAY_AUTH_TOKEN_PATH"].startswith(item["mountPath"]) for item in container["volumeMounts"])


def test_kuberay_manifest__runs_without_root(manifest):
    for group in list_groups(manifest):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 1000
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


def test_images__are_one():
    manifests = [load_yaml(CLUSTER / "kuberay" / name) for name in KUBERAY]
    images = {
        container["image"]
        for item in manifests
        for group in list_groups(item)
        for container in group["template"]["spec"]["containers"]
    }
    images.add(load_yaml(CLUSTER / "ray-cluster.yaml")["docker"]["image"])
    assert images == {f"gaelp-rl:{metadata.version('gaelp-rl')}"}


def test_ray_version__is_the_locked_one(manifest):
    assert find_cluster_spec(manifest)["rayVersion"] == metadata.version("ray")


def test_rayjob__runs_the_one_config_on_enough_cpus():
    manifest = load_yaml(CLUSTER / "kuberay" / "rayjob.yaml")
    words = shlex.split(manifest["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "experiments.sprint"]
    path = words[words.index("--config") + 1]
    assert path.startswith(CONTAINER_PATH)
    config = load_sprint_config(PROJECT / path.removeprefix(CONTAINER_PATH), [], None)
    assert config.training.env_runners == 50
    assert config.training.episodes == 100_000
    workers = find_cluster_spec(manifest)["workerGroupSpecs"]
    cpus = sum(
        group["replicas"] * int(group["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
        for group in workers
    )
    assert cpus >= config.training.env_runners


def test_cluster_config__writes_only_to_the_volume():
    config: SprintConfig = load_sprint_config(PROJECT / "experiments" / "configs" / "sprint-cluster.toml", [], None)
    volume = Path("/data")
    paths = (config.out, config.tracking.database, config.tracking.artifact_root)
    assert all(path.is_relative_to(volume) for path in paths)
    cluster = load_yaml(CLUSTER / "ray-cluster.yaml")
    assert any(option.endswith(f":{volume}") for option in cluster["docker"]["run_options"])


def test_ray_cluster__refuses_to_start_without_the_token():
    cluster = load_yaml(CLUSTER / "ray-cluster.yaml")
    assert "--env=RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    for name in ("head_start_ray_commands", "worker_start_ray_commands"):
        commands = cluster[name]
        guard = next(index for index, text in enumerate(commands) if text.startswith("test -s"))
        assert guard < next(index for index, text in enumerate(commands) if "ray start" in text)
        for command in commands:
            subprocess.run(["bash", "-n", "-c", command], check=True)
    assert "--dashboard-host=127.0.0.1" in " ".join(cluster["head_start_ray_commands"])


def test_import_paths__exist_or_are_listed_as_pending():
    service = yaml.safe_load(load_yaml(CLUSTER / "kuberay" / "rayservice.yaml")["spec"]["serveConfigV2"])
    named = {application["import_path"] for application in service["applications"]}
    missing = {path for path in named if not _has_module(path.partition(":")[0])}
    assert missing == set(PENDING_IMPORT_PATHS), "a path that exists leaves the list, one that is missing enters it"


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def read_steps(path: Path) -> list[tuple[str, str]]:
    """(instruction, rest) of a container file, with continued lines joined and comments dropped."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in joined.splitlines() if line.strip()]


def test_container_file__is_well_formed():
    """No registry is at hand to build it: its instructions, shell commands and sources are checked instead."""
    steps = read_steps(CLUSTER / "Containerfile")
    known = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENV", "ARG", "CMD"}
    assert {name for name, _ in steps} <= known
    for name, rest in steps:
        if name == "RUN":
            subprocess.run(["bash", "-n", "-c", rest], check=True)
        if name == "COPY":
            *sources, _target = [word for word in rest.split() if not word.startswith("--")]
            assert all((PROJECT / source).exists() for source in sources), rest
        if name == "CMD":
            assert json.loads(rest)[0] == "gaelp"


def test_container_file__runs_as_nobody_special_and_checks_hashes():
    steps = read_steps(CLUSTER / "Containerfile")
    users = [rest for name, rest in steps if name == "USER"]
    assert users == ["ray"]
    installs = [rest for name, rest in steps if name == "RUN" and "pip install" in rest]
    assert "torch" in installs[0]
    assert "--require-hashes" in installs[1]
    assert "--no-deps" in installs[1]
    assert "--no-deps" in installs[2]
    last_root_step = max(index for index, (name, rest) in enumerate(steps) if name == "RUN" and "useradd" in rest)
    assert next(index for index, (name, _) in enumerate(steps) if name == "USER") == last_root_step + 1
    command = re.search(r'"\$\((sed .*pyproject\.toml)\)"', installs[0])
    assert command is not None
    result = subprocess.run(["bash", "-c", command[1]], cwd=PROJECT, check=True, capture_output=True, text=True)
    assert result.stdout.strip() == f"torch=={metadata.version('torch').partition('+')[0]}"

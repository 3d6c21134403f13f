from __future__ import annotations

import enum
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from gaelp_rl.config.loading import dump_config, load_config
from gaelp_rl.config.strict import StrictModel
from gaelp_rl.errors import ConfigError


class Kind(enum.Enum):
    SAC = "sac"
    STOCK = "stock"


class Training(StrictModel):
    batch_size: int = Field(256, gt=0, description="transitions per update")
    learning_rate: float = Field(1e-5, gt=0)
    hidden: tuple[int, ...] = (128, 128)
    kind: Kind = Kind.SAC
    folder: Path | None = None
    root: Path = Path("runs")
    note: str = ""


class Optional(StrictModel):
    warm_up: int = 3


class Job(StrictModel):
    training: Training = Training()
    optional: Optional | None = None
    stages: tuple[Training, ...] = ()
    weights: dict[str, float] = Field(default_factory=dict)
    seed: int = 0


def write(folder: Path, text: str) -> Path:
    file = folder / "job.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_load_config__takes_file_over_defaults_and_overrides_over_file(tmp_path):
    file = write(tmp_path, "seed = 4\n[training]\nbatch_size = 32\nlearning_rate = 1\n")
    job = load_config(Job, file, ["training.batch_size=64", "training.batch_size=128"])
    assert job == Job(seed=4, training=Training(batch_size=128, learning_rate=1.0))


@pytest.mark.parametrize(
    ("override", "read", "expected"),
    [
        ("training.hidden=[64, 32]", lambda job: job.training.hidden, (64, 32)),
        ("training.kind=stock", lambda job: job.training.kind, Kind.STOCK),
        ('training.kind="stock"', lambda job: job.training.kind, Kind.STOCK),
        ("training.folder=runs/a b", lambda job: job.training.folder, Path("runs/a b")),
        ("training.learning_rate = 3e-4", lambda job: job.training.learning_rate, 3e-4),
        ("training.note=a=b", lambda job: job.training.note, "a=b"),
        ("optional.warm_up=5", lambda job: job.optional.warm_up, 5),
        ("weights.mild=2", lambda job: job.weights, {"mild": 2.0}),
        ("stages=[{batch_size = 8}]", lambda job: job.stages, (Training(batch_size=8),)),
        ("training.note=1\nseed = 3", lambda job: (job.training.note, job.seed), ("1\nseed = 3", 0)),
    ],
)
def test_load_config__reads_override_values_as_toml_else_as_text(override, read, expected):
    assert read(load_config(Job, None, [override])) == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.batch_sise=3"], r"training\.batch_sise: unknown key\. Did you mean 'batch_size'"),
        (["trainin.batch_size=3"], r"trainin: unknown key\. Did you mean 'training'"),
        (["optional.warmup=3"], r"optional\.warmup: unknown key\. Did you mean 'warm_up'"),
        (["stages=[{hiden = [1]}]"], r"stages\.0\.hiden: unknown key\. Did you mean 'hidden'"),
        (["training.batch_size=0"], r"training\.batch_size = 0: .*greater than 0\. It is: transitions per update"),
        (["training.learning_rate=nan"], r"training\.learning_rate = nan: .*finite"),
        (["training.learning_rate=inf"], r"training\.learning_rate = inf: .*finite"),
        (["training.kind=sarsa"], r"training\.kind = 'sarsa': .*'sac' or 'stock'"),
        (["training=3"], r"training = 3: .*object"),
        (["seed=1979-05-27"], r"seed = datetime\.date\(1979, 5, 27\): .*integer"),
        (["seed=3", "seed.x=1"], r"'seed' is 3, which has no keys"),
        (["seed"], r"expected dotted\.key=value"),
        (["=3"], r"expected dotted\.key=value"),
        (["training..batch_size=3"], r"expected dotted\.key=value"),
    ],
)
def test_load_config__names_the_key_the_value_and_the_rule(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config(Job, None, overrides)


def test_load_config__reports_every_broken_key_at_once():
    with pytest.raises(ConfigError) as caught:
        load_config(Job, None, ["training.batch_size=-1", "sed=3", "training.note=7"])
    assert all(key in str(caught.value) for key in ("training.batch_size = -1", "sed: unknown", "training.note = 7"))


def test_load_config__names_a_missing_setting():
    class Needy(StrictModel):
        account: str = Field(description="the ad account")

    with pytest.raises(ConfigError, match=r"account: missing, and it has no default\. It is: the ad account"):
        load_config(Needy)


def test_load_config__names_the_line_of_broken_toml(tmp_path):
    file = write(tmp_path, "seed = 4\n[training\n")
    with pytest.raises(ConfigError, match=r"job\.toml' is not TOML: .*line 2"):
        load_config(Job, file)


def test_load_config__suggests_a_near_file(tmp_path):
    write(tmp_path, "")
    with pytest.raises(ConfigError, match=r"no config file .*jobb\.toml'.*'job\.toml'"):
        load_config(Job, tmp_path / "jobb.toml")
    with pytest.raises(ConfigError, match="no config file"):
        load_config(Job, tmp_path / "nowhere" / "job.toml")


def test_load_config__refuses_bytes_and_folders(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "bytes.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
            load_config(Job, path)


@st.composite
def draw_jobs(draw):
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    training = st.builds(
        Training,
        batch_size=st.integers(1, 2**62),
        learning_rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
        hidden=st.lists(st.integers(-9, 9), max_size=3).map(tuple),
        kind=st.sampled_from(Kind),
        folder=st.none() | st.just(Path("runs/x")),
        note=text,
    )
    return Job(
        training=draw(training),
        optional=draw(st.none() | st.builds(Optional)),
        stages=tuple(draw(st.lists(training, max_size=2))),
        weights=draw(st.dictionaries(text, numbers, max_size=3)),
        seed=draw(st.integers(-(2**62), 2**62)),
    )


@given(job=draw_jobs())
def test_dump_config__is_read_back_unchanged(job, tmp_path_factory):
    file = write(tmp_path_factory.mktemp("dump"), dump_config(job))
    assert load_config(Job, file) == job


def test_dump_config__masks_secrets():
    class Account(StrictModel):
        token: SecretStr = SecretStr("hunter2")

    assert "hunter2" not in dump_config(Account())


def test_dump_config__writes_one_table_per_model():
    written = dump_config(Job(optional=Optional(), seed=7))
    assert written.startswith("stages = []\nseed = 7\n\n[training]\nbatch_size = 256\n")
    assert "\n[optional]\nwarm_up = 3\n" in written


@pytest.mark.parametrize("module", ["gaelp_rl.config"])
def test_config__loads_without_the_heavy_packages(module):
    code = f"import sys, {module}; print([m for m in ('ray', 'torch', 'mlflow', 'numba') if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"

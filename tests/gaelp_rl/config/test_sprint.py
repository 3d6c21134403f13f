from __future__ import annotations

from pathlib import Path

import pytest

from gaelp_rl.config.loading import load_config
from gaelp_rl.config.sprint import SETTINGS_FILE, SprintConfig, dump_settings, load_sprint_config
from gaelp_rl.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def _save(folder: Path, *overrides: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = load_config(SprintConfig, None, [f'out="{folder}"', *overrides])
    (folder / SETTINGS_FILE).write_text(dump_settings(config), encoding="utf-8")
    return folder


def test_config_file__is_the_defaults_written_out():
    """Who copies the file starts from what `make sprint` runs."""
    assert load_config(SprintConfig, ROOT / "experiments" / "configs" / "sprint.toml") == SprintConfig()


def test_resume_latest__goes_on_with_the_settings_of_the_run(tmp_path):
    """Else `--resume latest` of a run of 100,000 episodes would stop at the default's."""
    folder = _save(tmp_path / "run", "training.episodes=100000", "training.gamma=0.5")
    config = load_sprint_config(None, [f'out="{folder}"'], "latest")
    assert (config.training.episodes, config.training.gamma, config.out) == (100_000, 0.5, folder)


def test_resume__lets_overrides_win(tmp_path):
    folder = _save(tmp_path / "run", "training.episodes=100000")
    assert load_sprint_config(None, [f'out="{folder}"', "training.episodes=7"], "latest").training.episodes == 7


def test_resume_from_a_path__goes_on_in_the_folder_that_holds_it(tmp_path):
    folder = _save(tmp_path / "moved", 'out="somewhere/else"', "training.episodes=9")
    checkpoint = folder / "checkpoints" / "checkpoint-0000000008"
    config = load_sprint_config(None, [], str(checkpoint))
    assert (config.training.episodes, config.out) == (9, folder)


def test_resume_with_a_file__takes_the_file(tmp_path):
    folder, file = _save(tmp_path / "run", "training.episodes=9"), tmp_path / "mine.toml"
    file.write_text(f'out = "{folder}"\n[training]\nepisodes = 11\n')
    assert load_sprint_config(file, [], "latest").training.episodes == 11


@pytest.mark.parametrize("resume", [None, "latest"])
def test_without_a_saved_run__settings_are_the_defaults(tmp_path, resume):
    folder = tmp_path / "new"
    assert load_sprint_config(None, [f'out="{folder}"'], resume) == SprintConfig(out=folder)


def test_new_run__does_not_read_the_earlier_one(tmp_path):
    folder = _save(tmp_path / "run", "training.episodes=9")
    assert load_sprint_config(None, [f'out="{folder}"'], None).training.episodes == SprintConfig().training.episodes


def test_saved_settings__hold_no_signing_key(tmp_path):
    """Neither the key nor its mask, which would be read back as a key."""
    folder = _save(tmp_path / "run", 'trust.signing_key="-----SECRET-----"')
    assert "signing_key" not in (folder / SETTINGS_FILE).read_text()
    assert load_sprint_config(None, [f'out="{folder}"'], "latest").trust.signing_key is None


@pytest.mark.parametrize("scales", ["[0.0]", "[1.5]", "[0.5, -0.1]", "[nan]"])
def test_residual_scales__outside_0_to_1_are_refused(scales):
    with pytest.raises(ConfigError, match="residual_scales"):
        load_config(SprintConfig, None, [f"residual_scales={scales}"])


def test_family__that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="campaign"):
        load_config(SprintConfig, None, ['families=["campain"]'])

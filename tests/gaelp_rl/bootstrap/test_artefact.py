"""The artefact comes back as it was, or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gaelp_rl.bootstrap.artefact import BootstrapArtefact, BootstrapFit, check_fit, load_bootstrap, save_bootstrap
from gaelp_rl.bootstrap.transitions import TransitionDays
from gaelp_rl.errors import ArtifactError

_FIT = BootstrapFit("abc", 2, (4, 4), 50.0, False, 0.4, 0.8, 0.8)


@pytest.fixture
def artefact():
    rng = np.random.default_rng(0)
    days = TransitionDays(
        rng.random((25, 2, 3), dtype=np.float32),
        rng.random((24, 2, 8), dtype=np.float32),
        rng.random((24, 2), dtype=np.float32),
        rng.random((24, 2), dtype=np.float32),
        np.array([False, True]),
    )
    weights = {"pi.linear.weight": rng.random((3, 2), dtype=np.float32)}
    return BootstrapArtefact(_FIT, {"log_days": 2.0}, 'name = "a"\n', days, days.rewards.copy(), weights)


def test_bootstrap_artefact__comes_back_as_it_was(artefact, tmp_path):
    sha256 = save_bootstrap(tmp_path / "a", artefact)
    found = load_bootstrap(tmp_path / "a")
    assert (found.fit, found.counts, found.market, found.sha256) == (_FIT, {"log_days": 2.0}, artefact.market, sha256)
    for name in ("observations", "actions", "rewards", "costs", "terminated"):
        np.testing.assert_array_equal(getattr(found.days, name), getattr(artefact.days, name))
    np.testing.assert_array_equal(found.weights["pi.linear.weight"], artefact.weights["pi.linear.weight"])


@pytest.mark.parametrize("name", ["market.toml", "transitions.npz", "weights.safetensors"])
def test_bootstrap_artefact__one_flipped_byte_is_refused(artefact, tmp_path, name):
    save_bootstrap(tmp_path / "a", artefact)
    file = tmp_path / "a" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match=name):
        load_bootstrap(tmp_path / "a")


def test_bootstrap_artefact__a_folder_that_is_none_says_so(tmp_path):
    with pytest.raises(ArtifactError, match="gaelp bootstrap"):
        load_bootstrap(tmp_path)


def test_check_fit__names_both_sides():
    with pytest.raises(ArtifactError, match=r"max_log_bid 0.4, this run 3.0"):
        check_fit(_FIT, replace(_FIT, max_log_bid=3.0))
    check_fit(_FIT, _FIT)

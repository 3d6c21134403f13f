"""Loading a checkout leaves no trace; a made-up checkout stands in for the real one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from envs.auction.upstream_modules import UPSTREAM_MODULES, UpstreamModules
from gaelp_rl.errors import ConfigError, ResourceError

AGENT = """
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score
from tqdm import tqdm
from Models import double
figure, axes = plt.subplots()
axes.plot([1, 2], label=f'{roc_auc_score([0, 1], [0, 1])}')
numbers = [double(item) for item in tqdm(range(3), desc='counting')]
print('noise', np.mean(numbers))
"""
BIDDER = """
import torch
from torch.nn import functional as F
layer = torch.nn.Linear(1, 1)
optimiser = torch.optim.Adam(layer.parameters())
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, 'min', patience=3, verbose=True)
relu = F.relu
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    source = tmp_path / "src"
    source.mkdir()
    for name in UPSTREAM_MODULES:
        (source / f"{name}.py").write_text("", encoding="utf-8")
    (source / "Models.py").write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
    (source / "Agent.py").write_text(AGENT, encoding="utf-8")
    (source / "Bidder.py").write_text(BIDDER, encoding="utf-8")
    return tmp_path


def test_upstream_modules__find_each_other_and_leave_no_trace(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names, path = set(sys.modules), list(sys.path)
    agent = UpstreamModules(checkout).load("Agent")
    assert agent.numbers == [0, 2, 4]
    assert sys.path == path
    assert {name for name in set(sys.modules) - names if name in UPSTREAM_MODULES or "auctiongym" in name} == set()
    assert sorted(item.name for item in (checkout / "src").iterdir()) == sorted(f"{n}.py" for n in UPSTREAM_MODULES)
    assert capfd.readouterr() == ("", "")


def test_upstream_modules__take_the_argument_that_the_scheduler_has_lost(checkout: Path) -> None:
    """And the framework itself is as it was."""
    torch = pytest.importorskip("torch")
    bidder = UpstreamModules(checkout).load("Bidder")
    assert bidder.scheduler.patience == 3
    assert isinstance(bidder.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
    with pytest.raises(TypeError, match="verbose"):
        torch.optim.lr_scheduler.ReduceLROnPlateau(bidder.optimiser, "min", verbose=True)


def test_upstream_modules__of_two_checkouts_do_not_mix(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "src").mkdir()
    for file in (checkout / "src").glob("*.py"):
        (other / "src" / file.name).write_text(
            file.read_text(encoding="utf-8").replace("2 * x", "3 * x"), encoding="utf-8"
        )
    assert UpstreamModules(checkout).load("Agent").numbers == [0, 2, 4]
    assert UpstreamModules(other).load("Agent").numbers == [0, 3, 6]


def test_upstream_modules__name_what_a_folder_lacks(checkout: Path) -> None:
    (checkout / "src" / "Bidder.py").unlink()
    with pytest.raises(ConfigError, match=r"lacks Bidder\.py\. Clone https"):
        UpstreamModules(checkout)


def test_upstream_modules__name_what_is_not_installed(checkout: Path) -> None:
    (checkout / "src" / "Models.py").write_text("import no_such_package\n", encoding="utf-8")
    with pytest.raises(ResourceError, match="no_such_package"):
        UpstreamModules(checkout).load("Models")

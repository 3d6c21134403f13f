"""Training noise: its distribution, and that it depends on key and index alone."""

from __future__ import annotations

import numpy as np
from scipy import stats

from envs.auction.learning.noise import fill_normals, sample_key, sample_unit

KEY = np.uint64(12345)


def draw(block: int, n: int, key: np.uint64 = KEY) -> np.ndarray:
    out = np.empty(n)
    fill_normals(key, block, out)
    return out


def test_normals__are_standard_normal() -> None:
    """Kolmogorov-Smirnov at 1 %, and four moments within 4 standard errors, of 400,000 draws."""
    z = draw(0, 400_000)
    assert stats.kstest(z, "norm").pvalue > 0.01
    root = np.sqrt(z.size)
    assert abs(z.mean()) < 4.0 / root
    assert abs(np.mean(z**2) - 1.0) < 4.0 * np.sqrt(2.0) / root
    assert abs(np.mean(z**3)) < 4.0 * np.sqrt(15.0) / root
    assert abs(np.mean(z**4) - 3.0) < 4.0 * np.sqrt(96.0) / root


def test_normals__of_neighbouring_rows_halves_and_blocks_are_uncorrelated() -> None:
    blocks = np.array([draw(k, 1000) for k in range(400)])
    pairs = {
        "rows": (blocks[:, :-1], blocks[:, 1:]),
        "halves": (blocks[:, :500], blocks[:, 500:]),
        "squared halves": (blocks[:, :500] ** 2, blocks[:, 500:] ** 2),
        "blocks": (blocks[:-1], blocks[1:]),
    }
    for name, (a, b) in pairs.items():
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.0 / np.sqrt(a.size), name


def test_normals__depend_on_key_and_block_alone() -> None:
    np.testing.assert_array_equal(draw(3, 7), draw(3, 7))
    assert not np.isclose(draw(3, 7), draw(4, 7)).any()
    assert not np.isclose(draw(3, 7), draw(3, 7, np.uint64(12346))).any()


def test_normals__fill_odd_and_single_lengths() -> None:
    for n in (1, 2, 3, 5):
        z = draw(9, n)
        assert np.isfinite(z).all()
        assert np.unique(z).size == n


def test_unit__is_uniform() -> None:
    u = np.array([sample_unit(KEY, np.uint64(i)) for i in range(20_000)])
    assert 0.0 <= u.min() < u.max() < 1.0
    assert stats.kstest(u, "uniform").pvalue > 0.01


def test_key__is_drawn_from_the_generator() -> None:
    assert sample_key(np.random.default_rng(1)) == sample_key(np.random.default_rng(1))
    assert sample_key(np.random.default_rng(1)) != sample_key(np.random.default_rng(2))

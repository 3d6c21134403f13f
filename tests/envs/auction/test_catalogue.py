"""A seed gives AuctionGym's catalogue, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from envs.auction.catalogue import make_catalogue, make_catalogues
from tests.envs.auction.reference_data import CATALOGUES, DATA, load_reference_config, make_config, read_table


@pytest.mark.parametrize("name", CATALOGUES)
def test_make_catalogue__is_auctiongyms(name):
    config = load_reference_config(name)
    names = [agent.name for agent in config.expand_agents()]
    rows = read_table(DATA / "catalogues" / f"{name}.csv.gz")
    worlds = {seed: make_catalogue(config, seed) for seed in {int(row["seed"]) for row in rows}}
    for row in rows:
        world = worlds[int(row["seed"])]
        i = world.first_item[names.index(row["agent"])] + int(row["item"])
        fields = {f"e{j}": world.weights[0, i, j] for j in range(config.embedding_size)}
        fields |= {"intercept": world.weights[0, i, -1], "value": world.item_values[0, i]}
        assert fields[row["field"]] == float(row["value"])
    assert len(rows) == len(worlds) * worlds[0].item_values.shape[1] * (config.embedding_size + 2)


def test_make_catalogues__stacks_worlds_in_the_order_of_their_seeds():
    config = make_config()
    stacked = make_catalogues(config, [4, 2])
    assert stacked.first_item.tolist() == [0, 2, 9, 16, 23]
    for world, seed in enumerate([4, 2]):
        alone = make_catalogue(config, seed)
        assert (stacked.weights[world] == alone.weights[0]).all()
        assert (stacked.item_values[world] == alone.item_values[0]).all()


def test_make_catalogue__embedding_var_is_used_as_a_standard_deviation():
    """As in AuctionGym, in spite of its name: twice the setting, twice the embeddings."""
    one, two = (make_catalogue(make_config(embedding_var=scale), 0) for scale in (1.0, 2.0))
    np.testing.assert_allclose(two.weights[..., :-1], 2.0 * one.weights[..., :-1])
    assert (two.weights[..., -1] == one.weights[..., -1]).all()
    assert (one.weights[..., -1] <= -3.0).all()
    assert (one.weights[..., -1] > -4.0).all()

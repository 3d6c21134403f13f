"""The ablation "imitation of the hindsight optimum": supervised learning in place of reinforcement.

    python -m experiments.imitate [--seeds N] [--worlds N] [--rounds N] [--steps N]

In each hour the hindsight optimum would bid the true conversion rate times the day's theta. A network
learns that bid, relative to the reference controller's, from what reports show; later rounds learn in
the states that the network itself leads to. Scored like any policy, on validation worlds.

Source: on-policy imitation, Ross, Gordon and Bagnell 2011 (DAgger); for bidding, OIL (Sony, KDD 2025).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from envs.market.noise import make_world_keys
from envs.market.session import MarketSession, RewardSettings
from experiments.candidates import ScaledNetwork
from experiments.planners import find_reference_params, load_reference_params
from experiments.progress import WorkProgress, make_console
from experiments.validation import Validator
from gaelp_rl.config.market import load_family
from gaelp_rl.config.sprint import SprintConfig
from gaelp_rl.domain.channels import NUM_CHANNELS
from gaelp_rl.domain.ledger import HOURS_PER_DAY
from gaelp_rl.domain.objective import Objective
from gaelp_rl.domain.reports import FloatArray
from gaelp_rl.domain.response_curves import ResponseCurves
from gaelp_rl.evaluation.hindsight import compute_hindsight_optimum
from gaelp_rl.features.actions import ACTION_SIZE, ActionReach
from gaelp_rl.features.catalogue import OBSERVATION_SCHEMA
from gaelp_rl.features.schema import Float32Array
from gaelp_rl.policy import MlpNetwork

__all__ = ["collect_hindsight_actions", "fit_network", "main"]

_BATCH, _LEARNING_RATE = 1_024, 1e-3

Samples = tuple[Float32Array, Float32Array]


class _HindsightTheta:
    """Keeps the optimum's theta while a session asks for its conversions."""

    def __call__(self, curves: ResponseCurves, objective: Objective) -> FloatArray:
        optimum = compute_hindsight_optimum(curves, objective)
        self.theta = optimum.theta
        return optimum.expected_conversions


def collect_hindsight_actions(
    config: SprintConfig, family: str, first_seed: int, worlds: int, network: MlpNetwork | None
) -> Samples:
    """Plays training worlds to their end and notes what hindsight would have done in every hour.

    Args:
        config: gives the action's reach.
        family: the worlds' family.
        first_seed: of the training worlds.
        worlds: how many.
        network: who plays; None for action zero.

    Returns:
        Observations float32 [samples, features] and actions float32 [samples, actions]; budget
        shares are left to the controller.
    """
    hindsight = _HindsightTheta()
    market = load_family(family)
    session = MarketSession(
        market,
        worlds,
        find_reference_params(load_reference_params(), market),
        ActionReach(config.max_log_bid, config.max_logit),
        RewardSettings(hindsight, subtract_twin=False),
    )
    session.start_worlds(make_world_keys("train", first_seed, worlds))
    observations, actions = [], []
    for hour in range(session.family.days * HOURS_PER_DAY):
        observation = session.observation
        mistake = session.compute_privileged()[:, :NUM_CHANNELS]
        price = np.log(hindsight.theta[:, hour // HOURS_PER_DAY] / session.controller.theta)[:, None]
        target = np.zeros((worlds, ACTION_SIZE), dtype=np.float32)
        target[:, :NUM_CHANNELS] = np.clip((mistake + price) / config.max_log_bid, -1.0, 1.0)
        observations.append(observation.copy())
        actions.append(target)
        session.step(np.zeros_like(target) if network is None else network.compute_action(observation))
    return np.concatenate(observations), np.concatenate(actions)


def fit_network(samples: Samples, hidden_sizes: Sequence[int], steps: int, seed: int) -> MlpNetwork:
    """Fits the policy's network to actions by mean squared error."""
    observations, targets = (torch.from_numpy(part) for part in samples)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    sizes = [OBSERVATION_SCHEMA.size, *hidden_sizes, ACTION_SIZE]
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    optimiser = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=_LEARNING_RATE)
    for _ in range(steps):
        rows = torch.randint(len(observations), (_BATCH,), generator=generator)
        hidden = observations[rows]
        for layer in layers[:-1]:
            hidden = torch.relu(layer(hidden))
        loss = (torch.tanh(layers[-1](hidden)) - targets[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return MlpNetwork(
        weights=tuple(np.ascontiguousarray(_to_numpy(layer.weight).T) for layer in layers),
        biases=tuple(_to_numpy(layer.bias) for layer in layers),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with every seed and prints the score against the reference controller."""
    parser = argparse.ArgumentParser(prog="python -m experiments.imitate", description=__doc__)
    for name, default in (("seeds", 3), ("worlds", 192), ("rounds", 2), ("steps", 2_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(arguments)
    console, config = make_console(), SprintConfig()
    validator = Validator(config)
    table = Table("seed", "share of the action", *(f"{name}, points" for name in config.families))
    torch.set_num_threads(config.training.torch_threads)
    with WorkProgress(console, "imitation", options.seeds * options.rounds) as progress:
        for seed in range(options.seeds):
            network: MlpNetwork | None = None
            parts: list[Samples] = []
            for turn in range(options.rounds):
                first = (seed * options.rounds + turn) * options.worlds
                parts += [
                    collect_hindsight_actions(config, name, first, options.worlds, network) for name in config.families
                ]
                samples = (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
                network = fit_network(samples, config.training.hidden_sizes, options.steps, seed)
                progress.update(seed * options.rounds + turn + 1, f"seed {seed}, round {turn + 1}")
            for scale in (0.25, 0.5, 1.0):
                if network is None:
                    break
                families = validator.validate(ScaledNetwork(network, scale)).families.values()
                table.add_row(str(seed), f"{scale:g}", *(f"{100 * family.difference:+.2f}" for family in families))
    console.print(table)


def _to_numpy(parameter: torch.Tensor) -> NDArray[np.float32]:
    return np.array(parameter.detach().numpy(), dtype=np.float32)


if __name__ == "__main__":
    main()

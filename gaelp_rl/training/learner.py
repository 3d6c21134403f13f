"""RLlib's SAC learner with a fused update, a resting actor at the start, and a complete state."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.algorithms.sac.torch.sac_torch_learner import SACTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import TD_ERROR_KEY

from gaelp_rl.errors import DataError
from gaelp_rl.training.analytic_sac import AnalyticSAC, has_analytic_gradients
from gaelp_rl.training.flat_parameters import FlatParameters, flatten_parameters
from gaelp_rl.training.fused_sac import FusedSAC, SACBatch, SACLosses, SACNetworks
from gaelp_rl.training.module import PlainSACModule
from gaelp_rl.training.replay import ReplayBatch

__all__ = ["LEARNER_METRICS", "FastSACLearner", "keep_freed_memory", "make_learner_batch"]

LEARNER_METRICS = (
    "critic_loss",
    "actor_loss",
    "alpha",
    "log_probability",
    "q_mean",
    "td_error_mean",
    "action_norm",
    "updates",
)
"""What the learner reports for every call, as means over its minibatches (``updates``: the lifetime count)."""

_STATE_KEY = "fast_sac"
_MODULE = DEFAULT_MODULE_ID


def make_learner_batch(batch: ReplayBatch, rewards: NDArray[np.float32]) -> MultiAgentBatch:
    """Wraps replayed transitions for ``LearnerGroup.update``; ``rewards`` [n] may have the constraint priced in."""
    columns = SampleBatch(
        {
            "obs": batch.observations,
            "new_obs": batch.next_observations,
            "actions": batch.actions,
            "rewards": rewards,
            "discounts": batch.discounts,
            "weights": batch.weights,
        }
    )
    return MultiAgentBatch({_MODULE: columns}, env_steps=rewards.size)


def keep_freed_memory() -> bool:
    """Asks glibc to keep freed blocks instead of returning each to the kernel and faulting it in again.

    A SAC update frees dozens of blocks of a quarter megabyte, just above glibc's threshold for ``mmap``;
    page faults are then a third of its time. Affects the whole process; does nothing elsewhere.

    Returns:
        Whether the setting took effect.

    Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    m_trim_threshold, m_mmap_threshold, one_gibibyte, most_for_mmap = -1, -3, 1 << 30, 32 << 20
    return bool(mallopt(m_mmap_threshold, most_for_mmap) and mallopt(m_trim_threshold, one_gibibyte))


class FastSACLearner(SACTorchLearner):
    """Runs one update per minibatch of a call, target networks included.

    Reads from its config, beside SAC's own settings: ``action_penalty``, ``critic_warmup_updates`` and
    ``torch_threads``. TD errors come back per transition under ``TD_ERROR_KEY``.
    """

    def build(self) -> None:
        """Builds module, targets and optimisers, and moves their parameters into flat vectors."""
        torch.set_num_threads(self.config.torch_threads)
        keep_freed_memory()
        self._updates = 0
        self._flat: dict[str, FlatParameters] = {}
        super().build()
        module: PlainSACModule = self.module[_MODULE].unwrapped()
        targets = flatten_parameters(
            [
                [*module.target_qf_encoder.parameters(), *module.target_qf.parameters()],
                [*module.target_qf_twin_encoder.parameters(), *module.target_qf_twin.parameters()],
            ]
        )
        networks = SACNetworks(
            actor=self._flat["policy"],
            critics=self._flat["qf"],
            targets=targets,
            log_alpha=self.curr_log_alpha[_MODULE],
            log_std_bounds=module.pi.bounds,
            critic_layer_norm=module.qf_encoder.layer_norm,
            policy_features=module.pi_encoder.inputs,
            critic_curvature=module.model_config["critic_curvature"],
        )
        kind = AnalyticSAC if has_analytic_gradients(networks) else FusedSAC
        self._sac = kind(networks, self.config.action_penalty, self.config.tau)
        self._generator = torch.Generator(self._device)
        self._generator.manual_seed(int(self.config.seed or 0))

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """Registers one fused Adam for both critics, one for the policy, one for the temperature."""
        module: PlainSACModule = self._module[module_id].unwrapped()
        self._flat["qf"] = flatten_parameters(
            [
                [*module.qf_encoder.parameters(), *module.qf.parameters()],
                [*module.qf_twin_encoder.parameters(), *module.qf_twin.parameters()],
            ]
        )
        self._flat["policy"] = flatten_parameters([[*module.pi_encoder.parameters(), *module.pi.parameters()]])
        parameters = {
            "qf": (self._flat["qf"].flat, config.critic_lr),
            "policy": (self._flat["policy"].flat, config.actor_lr),
            "alpha": (self.curr_log_alpha[module_id], config.alpha_lr),
        }
        for name, (parameter, learning_rate) in parameters.items():
            self.register_optimizer(
                module_id=module_id,
                optimizer_name=name,
                optimizer=torch.optim.Adam([parameter], eps=1e-7, fused=True),
                params=[parameter],
                lr_or_lr_schedule=learning_rate,
            )

    def update(
        self,
        batch: MultiAgentBatch | None = None,
        *,
        training_data: Any = None,
        timesteps: Mapping[str, Any] | None = None,
        **_kwargs: Any,
    ) -> Any:
        """Updates once per ``train_batch_size_per_learner`` transitions of the batch, in order.

        Args:
            batch: as made by ``make_learner_batch``, a whole number of minibatches.
            training_data: RLlib's wrapper of the same.
            timesteps: for learning-rate schedules.
            **_kwargs: further settings of RLlib's that do not apply here.

        Returns:
            RLlib's reduced metrics, TD errors [n] among them.

        Raises:
            DataError: there is no batch, or not a whole number of minibatches.
        """
        self._check_is_built()
        columns = self._convert(training_data.batch if training_data is not None else batch)
        size = int(self.config.train_batch_size_per_learner)
        total = columns["rewards"].shape[0]
        if total == 0 or total % size:
            msg = f"batch has {total} transitions; it must be a positive multiple of the minibatch size {size}"
            raise DataError(msg)
        self._weights_seq_no += 1
        losses = []
        for start in range(0, total, size):
            rows = {name: column[start : start + size] for name, column in columns.items()}
            losses.append(self._update_once(rows))
        self._log(losses)
        TorchLearner.after_gradient_based_update(self, timesteps=dict(timesteps or {}))
        return self.metrics.reduce()

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """RLlib's state plus what it leaves out: temperature, number of updates and noise generator."""
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(_STATE_KEY, components, not_components):
            state[_STATE_KEY] = {
                "log_alpha": self.curr_log_alpha[_MODULE].detach().cpu().numpy().copy(),
                "updates": self._updates,
                "generator": self._generator.get_state().numpy().copy(),
            }
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores all of ``get_state``, also weights older than the current ones (RLlib would skip those)."""
        self._weights_seq_no = 0
        super().set_state(state)
        if _STATE_KEY in state:
            own = state[_STATE_KEY]
            with torch.no_grad():
                self.curr_log_alpha[_MODULE].copy_(torch.as_tensor(np.array(own["log_alpha"])))
            self._updates = int(own["updates"])
            self._generator.set_state(torch.as_tensor(np.array(own["generator"], dtype=np.uint8)))

    def _convert(self, batch: MultiAgentBatch | None) -> dict[str, torch.Tensor]:
        if batch is None:
            msg = "FastSACLearner.update needs a batch of arrays: make it with make_learner_batch"
            raise DataError(msg)
        columns = batch.policy_batches[_MODULE]
        return {name: torch.as_tensor(columns[name], device=self._device) for name in columns}

    def _update_once(self, columns: Mapping[str, torch.Tensor]) -> SACLosses:
        minibatch = SACBatch(
            observations=columns["obs"],
            next_observations=columns["new_obs"],
            actions=columns["actions"],
            rewards=columns["rewards"],
            discounts=columns["discounts"],
            weights=columns["weights"],
        )
        noise = torch.randn(
            (2, *minibatch.actions.shape), generator=self._generator, device=self._device, dtype=torch.float32
        )
        with_actor = self._updates >= self.config.critic_warmup_updates
        losses = self._sac.compute_gradients(minibatch, noise[0], noise[1], with_actor)
        if losses.log_probability is not None:
            log_alpha = self.curr_log_alpha[_MODULE]
            log_alpha.grad = -(losses.log_probability + self.target_entropy[_MODULE]).reshape(1)
        self.get_optimizer(_MODULE, "qf").step()
        if with_actor:
            self.get_optimizer(_MODULE, "policy").step()
            self.get_optimizer(_MODULE, "alpha").step()
        self._sac.update_targets()
        self._updates += 1
        return losses

    def _log(self, losses: list[SACLosses]) -> None:
        td_errors = torch.cat([one.td_errors for one in losses])
        report = {
            "critic_loss": torch.stack([one.critic.detach() for one in losses]).mean(),
            "q_mean": torch.stack([one.q_mean for one in losses]).mean(),
            "td_error_mean": td_errors.mean(),
            "alpha": self.curr_log_alpha[_MODULE].detach().exp().mean(),
            "updates": torch.tensor(float(self._updates)),
        }
        for name in ("actor", "log_probability", "action_norm"):
            seen = [part.detach() for one in losses if (part := getattr(one, name)) is not None]
            if seen:
                report["actor_loss" if name == "actor" else name] = torch.stack(seen).mean()
        self.metrics.log_dict({key: float(number) for key, number in report.items()}, key=_MODULE, window=1)
        self.metrics.log_value((_MODULE, TD_ERROR_KEY), td_errors.cpu().numpy(), reduce="item_series")

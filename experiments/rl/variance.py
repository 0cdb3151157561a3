"""How much the gradient estimates of REINFORCE and EPG vary, measured on the policy's own parameters.

The estimate from a batch of images and n sampled actions each has two sources of variance: which images, which EPG has
too, and which actions, which falls as 1/n (for independent draws, exactly in expectation). Variances are traces of the
covariance matrix, in units of the squared norm of EPG's gradient over all images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents import EPG, ViTPolicy
from agents.objectives import expected_policy_gradient_loss, mask_logits, reinforce_loss
from experiments.config.entry import Entry
from experiments.config.resolved import resolve
from experiments.console import say
from experiments.files import reading, replace_file
from experiments.rl.config import AlgorithmRun
from experiments.runs.run_folder import run_path

SAMPLES = (1, 4, 16, 64)
VARIANCES = ("total", "actions")
"""Columns of variances."""
Estimator = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def sampled(count: int, baseline: bool = False) -> Estimator:
    """The loss of REINFORCE with some actions drawn for each image, and with the images' mean expected reward or 0."""

    def loss(logits: Tensor, action_rewards: Tensor, generator: torch.Generator) -> Tensor:
        policy = logits.detach().softmax(dim=1)
        actions = torch.multinomial(policy, count, replacement=True, generator=generator)
        mean = (policy * action_rewards).sum(dim=1).mean().item() if baseline else 0.0
        return reinforce_loss(logits, action_rewards, actions, mean).mean()

    return loss


def _expected(logits: Tensor, action_rewards: Tensor, generator: torch.Generator) -> Tensor:
    return expected_policy_gradient_loss(logits, action_rewards).mean()


ESTIMATORS: dict[str, Estimator] = {
    **{f"REINFORCE, n = {count}": sampled(count) for count in SAMPLES},
    "REINFORCE, n = 1, with baseline": sampled(1, baseline=True),
    "EPG": _expected,
}


def trace_of_covariance(estimates: NDArray[np.float64]) -> float:
    """Sum over coordinates of the unbiased variance of D estimates, shape (D, P)."""
    return float(estimates.var(axis=0, ddof=1).sum())


def gradient_variance(run: AlgorithmRun, moments: Sequence[float] = (0.0, 0.25, 1.0), draws: int = 64) -> pd.DataFrame:
    """Measure the estimators on task 0, as EPG learns it.

    Args:
        run: Stream, network, seed and rate.
        moments: When to measure, as shares of the task's steps in [0, 1].
        draws: Batches, of `batch_size` images and their sampled actions each, over which the variance is taken.

    Returns:
        A row for each moment and estimator: seed, moment, estimator, `total` (over images and actions) and `actions`
        (over actions given the images), both by the squared norm of EPG's gradient over all images of the task.
    """
    torch.set_num_threads(run.threads)
    resolved = resolve(run)
    stream = resolved.stream
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=run.batch_size, dataset=stream)
    agent = EPG(
        "ViTPolicy",
        env,
        "epg",
        learning_rate=run.learning_rate,
        batch_size=run.batch_size,
        policy_kwargs=resolved.policy,
        precision=run.precision,
        seed=run.seeds.agent,
        device=run.device,
    )
    count = len(stream.tasks[0].train_indices)
    images, info = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=count, dataset=stream).reset(seed=0)
    measure = _Measure(images, info, moments, draws, run.seeds.agent)
    agent.learn(run.epochs * count, callback=measure)
    measure.finish()
    return pd.DataFrame(measure.rows).assign(seed=run.seed)


class _Measure(BaseCallback):
    """Measures the estimators during training, which it does not change."""

    def __init__(
        self, images: NDArray[np.uint8], info: dict[str, Any], moments: Sequence[float], draws: int, seed: int
    ) -> None:
        super().__init__()
        self._images, self._info, self._draws, self._seed = images, info, draws, seed
        self._due = sorted(moments)
        self.rows: list[dict[str, Any]] = []

    def _on_rollout_start(self) -> None:
        progress = self.num_timesteps / self.locals["total_timesteps"]
        while self._due and self._due[0] <= progress:
            self._measure(self._due.pop(0))

    def _on_step(self) -> bool:
        return True

    def finish(self) -> None:
        """Measure at the end of the task."""
        while self._due:
            self._measure(self._due.pop(0))

    def _measure(self, moment: float) -> None:
        policy = cast(ViTPolicy, self.model.policy)
        tensors = (self._info["action_rewards"], self._info["action_mask"])
        rewards, mask = (torch.from_numpy(array).to(policy.device) for array in tensors)
        images = torch.from_numpy(self._images).to(policy.device)
        generator = torch.Generator(policy.device).manual_seed((self._seed + round(1000 * moment)) % 2**63)
        parameters = policy.trainable_parameters

        def gradients(rows: Tensor, estimators: Sequence[Estimator]) -> Iterator[NDArray[np.float64]]:
            logits = mask_logits(policy(images[rows]), mask[rows])
            for estimator in estimators:
                loss = estimator(logits, rewards[rows] * mask[rows], generator)
                found = torch.autograd.grad(loss, parameters, retain_graph=True)
                yield torch.cat([part.flatten() for part in found]).cpu().double().numpy()

        everything = torch.arange(len(images), device=policy.device)
        scale = float(np.square(next(gradients(everything, [_expected]))).sum())
        batch = self.model.batch_size  # type: ignore[attr-defined]
        drawn = []
        for _ in range(self._draws):
            rows = torch.randperm(len(images), generator=generator, device=policy.device)[:batch]
            drawn.append(list(gradients(rows, list(ESTIMATORS.values()))))
        exact = list(ESTIMATORS).index("EPG")
        for place, name in enumerate(ESTIMATORS):
            estimates = np.stack([each[place] for each in drawn])
            errors = estimates - np.stack([each[exact] for each in drawn])
            self.rows.append(
                {
                    "moment": moment,
                    "estimator": name,
                    "total": trace_of_covariance(estimates) / scale,
                    "actions": float(np.square(errors).sum(axis=1).mean()) / scale,
                }
            )


def variance_of_entries(entries: Sequence[Entry], draws: int, tables: Path, runs: Path) -> pd.DataFrame:
    """The variance of gradient estimates, once for each seed; measured where it is not there yet.

    Args:
        entries: The finished runs.
        draws: See `gradient_variance`.
        tables: Folder of the table.
        runs: Folder of the runs, in which the variance of a seed is kept.
    """
    first = {entry.config.seed: entry.config for entry in reversed(entries)}
    found = []
    for seed, config in sorted(first.items()):
        assert isinstance(config, AlgorithmRun)
        file = run_path(config, runs) / f"gradient_variance_{draws}.csv"
        if not file.exists():
            say(f"gradient variance, seed {seed}")
            table = gradient_variance(config, draws=draws)
            replace_file(file, lambda aside, table=table: table.to_csv(aside, index=False, float_format="%.6g"))  # type: ignore[misc]
        with reading(file, "remove it, and the same command measures it anew"):
            found.append(pd.read_csv(file).astype(dict.fromkeys(VARIANCES, float)))
    together = pd.concat(found, ignore_index=True)
    file = tables / "gradient_variance.csv"
    replace_file(file, lambda aside: together.to_csv(aside, index=False, float_format="%.6g"))
    return together

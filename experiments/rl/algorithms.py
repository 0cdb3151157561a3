"""The algorithms that are compared, each an entry of one table, and how they are made alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import gymnasium as gym
import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import EPG, GymnasiumVecEnv, ImageReplayBuffer, LinearBandit, Reinforce, ValueBandit
from agents.algorithms.one_step import OneStepAlgorithm
from agents.networks.config import AgentSeeds
from agents.sb3.features import ENTRIES
from agents.sb3.policies import ViTActorCriticPolicy, ViTQPolicy
from cls_env.command_line.errors import one_line
from cls_env.specification import check_arguments, lookup, parse_specification
from experiments.config.resolved import ResolvedRun
from experiments.rl.config import AlgorithmRun

SET_ALIKE = ("policy", "env", "learning_rate", "batch_size", "policy_kwargs", "seed", "device")
"""Arguments that are the run's, equal for all algorithms."""


@dataclass(frozen=True)
class Algorithm:
    """An entry of the comparison.

    Attributes:
        kind: The class.
        title: What it is, for lists and figures.
        arguments: Constructor arguments, which a specification may change.
        feedback: What the environment tells: `"full"`, or `"bandit"`, the reward of the chosen action alone.
        outputs_policy: Whether the network gives logits of a policy, whose entropy means something.
    """

    kind: Callable[..., BaseAlgorithm]
    title: str
    arguments: dict[str, Any] = field(default_factory=dict)
    feedback: str = "bandit"
    outputs_policy: bool = True

    @property
    def one_step(self) -> type[OneStepAlgorithm] | None:
        """The class, where it is one of ours."""
        ours = isinstance(self.kind, type) and issubclass(self.kind, OneStepAlgorithm)
        return cast(type[OneStepAlgorithm], self.kind) if ours else None


def _one_step(
    resolved: ResolvedRun, algorithm: Algorithm, env: GymnasiumVecEnv, arguments: dict[str, Any]
) -> BaseAlgorithm:
    run, entries = resolved.config, resolved.policy
    if algorithm.kind is LinearBandit:
        entries["peft"] = "none"
    return algorithm.kind(
        "ViTPolicy",
        env,
        learning_rate=run.learning_rate,
        batch_size=run.batch_size,
        freeze_fraction=run.freeze_fraction,
        policy_kwargs=entries,
        seed=run.seeds.agent,
        device=run.device,
        **arguments,
    )


def _of_sb3(
    resolved: ResolvedRun, algorithm: Algorithm, env: GymnasiumVecEnv, arguments: dict[str, Any]
) -> BaseAlgorithm:
    run = resolved.config
    seeds = AgentSeeds.of(run.seeds.agent)
    entries = {name: value for name, value in resolved.policy.items() if name in ENTRIES}
    features = entries | {"backbone_seed": seeds.backbone, "peft_seed": seeds.peft}
    return algorithm.kind(
        ViTQPolicy if algorithm.kind is DQN else ViTActorCriticPolicy,
        env,
        learning_rate=run.learning_rate,
        policy_kwargs={
            "features_extractor_kwargs": features,
            "head_seed": seeds.head,
            "optimizer_class": torch.optim.Adam,
            "optimizer_kwargs": {},
        },
        seed=seeds.actions % 2**31,
        device=run.device,
        **({} if algorithm.kind is A2C else {"batch_size": run.batch_size}),
        **arguments,
    )


ALGORITHMS: dict[str, Algorithm] = {
    "ce": Algorithm(EPG, "cross-entropy", {"objective": "ce"}, "full"),
    "epg": Algorithm(EPG, "expected policy gradient", {"objective": "epg"}, "full"),
    "aepg": Algorithm(EPG, "annealed EPG", {"objective": "aepg"}, "full"),
    "reinforce": Algorithm(Reinforce, "REINFORCE"),
    "reinforce-baseline": Algorithm(Reinforce, "REINFORCE, mean reward", {"baseline": "running-mean"}),
    "ppo": Algorithm(PPO, "PPO of SB3", {"n_steps": 5, "n_epochs": 4}),
    "a2c": Algorithm(A2C, "A2C of SB3", {"n_steps": 1, "use_rms_prop": False}),
    "dqn": Algorithm(
        DQN,
        "DQN of SB3",
        {
            "replay_buffer_class": ImageReplayBuffer,
            "buffer_size": 10_000,
            "learning_starts": 0,
            "train_freq": 1,
            "gradient_steps": 1,
            "exploration_fraction": 0.5,
        },
        outputs_policy=False,
    ),
    "epsilon-greedy": Algorithm(ValueBandit, "values, epsilon-greedy", outputs_policy=False),
    "boltzmann": Algorithm(ValueBandit, "values, Boltzmann", {"exploration": "boltzmann"}, outputs_policy=False),
    "linucb": Algorithm(LinearBandit, "LinUCB, frozen features", outputs_policy=False),
    "thompson": Algorithm(LinearBandit, "Thompson, frozen features", {"rule": "thompson"}, outputs_policy=False),
}


def find_algorithm(specification: str) -> tuple[Algorithm, dict[str, Any]]:
    """The entry that a specification names, `"ppo:n_epochs=10"`, and its constructor arguments.

    Raises:
        ValueError: The name or an argument is unknown.
    """
    name, given = parse_specification(specification)
    algorithm = lookup("algorithm", name, ALGORITHMS)
    if algorithm.one_step:
        for key in given:
            lookup(f"argument of algorithm {name!r}", key, dict.fromkeys(algorithm.one_step.own_arguments, True))
    else:
        check_arguments(f"algorithm {name!r}", algorithm.kind, given, SET_ALIKE)
    return algorithm, algorithm.arguments | given


def make_algorithm(resolved: ResolvedRun) -> BaseAlgorithm:
    """An untrained agent on the stream's training images, for a resolved `AlgorithmRun`.

    Raises:
        ValueError: The specification is impossible.
    """
    run = resolved.config
    assert isinstance(run, AlgorithmRun)
    algorithm, arguments = find_algorithm(run.algorithm)
    env = gym.make_vec(
        "cls_env/ClassIncremental-v0", num_envs=run.batch_size, dataset=resolved.stream, feedback=algorithm.feedback
    )
    make = _one_step if algorithm.one_step else _of_sb3
    try:
        return make(resolved, algorithm, GymnasiumVecEnv(env), arguments)
    except (AssertionError, TypeError) as error:  # of stable-baselines3, of values that it does not take
        raise ValueError(f"algorithm {run.algorithm!r}: {one_line(error)}") from error

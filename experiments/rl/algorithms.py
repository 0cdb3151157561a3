"""The algorithms that are compared: a table, and how an algorithm is made for a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import gymnasium as gym
import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from agents import EPG, GymnasiumVecEnv, ImageReplayBuffer, LinearBandit, Reinforce, ValueBandit
from agents.algorithms.one_step import OneStepAlgorithm
from agents.networks.config import AgentSeeds
from agents.sb3.features import ENTRIES
from agents.sb3.policies import ViTActorCriticPolicy, ViTQPolicy
from cls_env.arguments import one_of
from cls_env.command_line.errors import one_line
from cls_env.registry import Registry
from cls_env.specification import check_arguments, parse_specification
from experiments.config.resolved import ResolvedRun
from experiments.rl.config import AlgorithmRun, RlConfig

SET_ALIKE = ("policy", "env", "learning_rate", "batch_size", "policy_kwargs", "seed", "device")
"""Arguments that the run sets, the same for all algorithms."""


@dataclass(frozen=True)
class Algorithm:
    """An algorithm of the comparison.

    Add one of your own by `ALGORITHMS["name"] = Algorithm(...)` in a module that `--imports` names.

    Attributes:
        kind: The class, one of `agents` or of SB3's kind.
        title: Description for lists.
        arguments: Constructor arguments. A specification such as `ppo:n_epochs=10` overrides them.
        feedback: `"full"`, or `"bandit"`: the reward of the chosen action alone.
        outputs_policy: Whether the network's outputs are logits of a policy, so that their entropy is meaningful.
        policy: Policy class of SB3's kind of algorithms, made by `TaskPolicyMixin`; those of `agents` use `ViTPolicy`.
        policy_arguments: Entries of `policy_kwargs` that override those of the run.
        takes_batch_size: Whether the constructor has an argument `batch_size`.
    """

    kind: Callable[..., BaseAlgorithm]
    title: str
    arguments: dict[str, Any] = field(default_factory=dict)
    feedback: str = "bandit"
    outputs_policy: bool = True
    policy: type[BasePolicy] = ViTActorCriticPolicy
    policy_arguments: dict[str, Any] = field(default_factory=dict)
    takes_batch_size: bool = True

    @property
    def one_step(self) -> type[OneStepAlgorithm] | None:
        """The class, if it is one of `agents`."""
        ours = isinstance(self.kind, type) and issubclass(self.kind, OneStepAlgorithm)
        return cast(type[OneStepAlgorithm], self.kind) if ours else None


def _one_step_arguments(resolved: ResolvedRun, algorithm: Algorithm) -> dict[str, Any]:
    run = resolved.config
    return {
        "policy": "ViTPolicy",
        "freeze_fraction": run.freeze_fraction,
        "precision": run.precision,
        "device_images": run.device_images,
        "policy_kwargs": resolved.policy | algorithm.policy_arguments,
        "seed": run.seeds.agent,
    }


def _sb3_arguments(resolved: ResolvedRun, algorithm: Algorithm) -> dict[str, Any]:
    seeds = AgentSeeds.of(resolved.config.seeds.agent)
    entries = {name: value for name, value in resolved.policy.items() if name in ENTRIES}
    entries |= {"precision": resolved.config.precision}
    return {
        "policy": algorithm.policy,
        "policy_kwargs": {
            "features_extractor_kwargs": entries | {"backbone_seed": seeds.backbone, "peft_seed": seeds.peft},
            "head_seed": seeds.head,
            "optimizer_class": torch.optim.Adam,
            "optimizer_kwargs": {},
        }
        | algorithm.policy_arguments,
        "seed": seeds.actions % 2**31,
    }


def check_device_images(config: RlConfig) -> None:
    """Raise ValueError if `device_images` is set, and no algorithm uses it."""
    if config.device_images != "auto" and not any(find_algorithm(name)[0].one_step for name in config.algorithms):
        raise ValueError(
            f"--device-images {config.device_images} has no effect: it is used only with algorithms of this package"
        )


ALGORITHMS: Registry[Algorithm] = Registry(
    "algorithm",
    {
        "ce": Algorithm(EPG, "cross-entropy", {"objective": "ce"}, "full"),
        "epg": Algorithm(EPG, "expected policy gradient", {"objective": "epg"}, "full"),
        "aepg": Algorithm(EPG, "annealed EPG", {"objective": "aepg"}, "full"),
        "reinforce": Algorithm(Reinforce, "REINFORCE"),
        "reinforce-baseline": Algorithm(Reinforce, "REINFORCE, mean reward", {"baseline": "running-mean"}),
        "ppo": Algorithm(PPO, "PPO of SB3", {"n_steps": 5, "n_epochs": 4}),
        "a2c": Algorithm(A2C, "A2C of SB3", {"n_steps": 1, "use_rms_prop": False}, takes_batch_size=False),
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
            policy=ViTQPolicy,
        ),
        "epsilon-greedy": Algorithm(ValueBandit, "values, epsilon-greedy", outputs_policy=False),
        "boltzmann": Algorithm(ValueBandit, "values, Boltzmann", {"exploration": "boltzmann"}, outputs_policy=False),
        "linucb": Algorithm(
            LinearBandit, "LinUCB, frozen features", outputs_policy=False, policy_arguments={"peft": "none"}
        ),
        "thompson": Algorithm(
            LinearBandit,
            "Thompson, frozen features",
            {"rule": "thompson"},
            outputs_policy=False,
            policy_arguments={"peft": "none"},
        ),
    },
)


def find_algorithm(specification: str) -> tuple[Algorithm, dict[str, Any]]:
    """The entry that a specification names, `"ppo:n_epochs=10"`, and its constructor arguments.

    Raises:
        ValueError: The name or an argument is unknown.
    """
    name, given = parse_specification(specification)
    algorithm = ALGORITHMS.lookup(name)
    if algorithm.one_step:
        for key in given:
            one_of(f"argument of algorithm {name!r}", key, algorithm.one_step.own_arguments)
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
    own = (_one_step_arguments if algorithm.one_step else _sb3_arguments)(resolved, algorithm)
    size = {"batch_size": run.batch_size} if algorithm.takes_batch_size else {}
    try:
        return algorithm.kind(
            env=GymnasiumVecEnv(env),
            learning_rate=run.learning_rate,
            device=run.device,
            **size,
            **own,
            **arguments,
        )
    except (AssertionError, TypeError) as error:  # of SB3, for values that it does not accept
        raise ValueError(f"algorithm {run.algorithm!r}: {one_line(error)}") from error

"""The environment ids, each an entry of one table."""

from __future__ import annotations

from typing import Any

from gymnasium.envs.registration import register

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "cls_env/ClassIncremental-v0": {},
    "cls_env/SplitGlyphs-v0": {"dataset": "glyphs", "num_tasks": 5},
    "cls_env/SplitDigits-v0": {"dataset": "digits", "num_tasks": 5},
    "cls_env/SplitCIFAR10-v0": {"dataset": "cifar10", "num_tasks": 5},
    "cls_env/SplitCIFAR100-v0": {"dataset": "cifar100", "num_tasks": 10},
    "cls_env/SplitImageNetR-v0": {"dataset": "imagenet-r", "num_tasks": 10},
    "cls_env/SplitFood101-v0": {"dataset": "food101", "num_tasks": 10},
    "cls_env/SplitCUB200-v0": {"dataset": "cub200", "num_tasks": 10},
    "cls_env/CLRS25-v0": {"dataset": "clrs25", "num_tasks": 5},
    "cls_env/SplitOmniglot-v0": {"dataset": "omniglot", "num_tasks": 50},
    "cls_env/SplitCaltech101-v0": {"dataset": "caltech101", "num_tasks": 10},
}


def register_environments() -> None:
    """Register every id with its single and its native vector environment."""
    for name, preset in ENVIRONMENTS.items():
        register(
            id=name,
            entry_point="cls_env.envs.class_incremental:ClassIncrementalEnv",
            vector_entry_point="cls_env.envs.vector:ClassIncrementalVectorEnv",
            kwargs=preset,
        )

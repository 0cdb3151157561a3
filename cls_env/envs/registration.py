"""The environment ids: one for each dataset whose card names it, and one without a dataset."""

from __future__ import annotations

from typing import Any

from gymnasium.envs.registration import register

from cls_env.datasets.cards import BENCHMARKS

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "cls_env/ClassIncremental-v0": {},
    **{card.env_id: {"dataset": card.name, "num_tasks": card.task_counts[0]} for card in BENCHMARKS if card.env_id},
}
"""Constructor arguments by id."""


def register_environments() -> None:
    """Register every id with its single and its native vector environment."""
    for name, arguments in ENVIRONMENTS.items():
        register(
            id=name,
            entry_point="cls_env.envs.class_incremental:ClassIncrementalEnv",
            vector_entry_point="cls_env.envs.vector:ClassIncrementalVectorEnv",
            kwargs=arguments,
        )

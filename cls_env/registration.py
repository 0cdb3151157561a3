"""The environment ids, each an entry of one table."""

from __future__ import annotations

from typing import Any

from gymnasium.envs.registration import register

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "cls_env/ClassIncremental-v0": {},
    "cls_env/SplitGlyphs-v0": {"dataset": "glyphs", "num_tasks": 5},
}


def register_environments() -> None:
    """Register every id with its single and its native vector environment."""
    for name, preset in ENVIRONMENTS.items():
        register(
            id=name,
            entry_point="cls_env.env:ClassIncrementalEnv",
            vector_entry_point="cls_env.vector_env:ClassIncrementalVectorEnv",
            kwargs=preset,
        )

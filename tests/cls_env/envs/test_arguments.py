"""Wrong arguments of an environment are answered with the right ones."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

ID = "cls_env/ClassIncremental-v0"


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_tasks": 5}, r"'n_tasks'; did you mean 'num_tasks'\? Known: dataset, num_tasks, scenario"),
        ({"dataset": "folder", "root": "photos"}, r"of dataset 'folder': give dataset_options=\{'root': \.\.\.\}"),
        ({"dataset": "folder"}, r"needs root: load_dataset\('folder', root=\.\.\.\), or dataset_options=dict"),
        ({"num_tasks": "5"}, "num_tasks must be a whole number, not '5'"),
        ({"stream": 1}, "unknown argument of the environment 'stream'"),
    ],
)
def test_wrong_arguments(make: Any, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(ID, **arguments)

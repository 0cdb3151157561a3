"""Modules and classes of version 0.1.0, under the names that pickles of that version refer to.

The agents of stable-baselines3 (`PPO.load` and its like) pickle references to classes: a module's path and a name.
Files saved by version 0.1.0 have the paths of that version. Agents of this package refer to no module, see
`agents.checkpoint`.
"""

from __future__ import annotations

import sys
from importlib import import_module

MODULES = {
    "agents.features": "agents.sb3.features",
    "agents.image_replay": "agents.sb3.replay_buffer",
    "agents.policy_config": "agents.networks.config",
    "agents.task_by_task": "agents.sb3.task_by_task",
    "agents.task_policies": "agents.sb3.policies",
}
"""Path of a module in version 0.1.0, and its path now."""

CLASSES = {("agents.task_by_task", "CurrentActions"): "MaskedDiscrete"}
"""Name of a class in such a module then, and its name now."""


def provide_earlier_names() -> None:
    """Let imports, and so pickles, find the earlier names."""
    for earlier, current in MODULES.items():
        sys.modules[earlier] = import_module(current)
    for (module, earlier), current in CLASSES.items():
        setattr(sys.modules[module], earlier, getattr(sys.modules[module], current))

"""Examples whose library is absent are left out when pytest looks for doctests."""

from importlib.util import find_spec

LIBRARIES = {
    "sb3.py": "sb3_contrib",
    "torchrl_ppo.py": "torchrl",
    "tianshou_ppo.py": "tianshou",
    "rllib_ppo.py": "tree",
}
"""A module that each library needs; RLlib needs more than Ray itself."""
collect_ignore = [example for example, library in LIBRARIES.items() if find_spec(library) is None]

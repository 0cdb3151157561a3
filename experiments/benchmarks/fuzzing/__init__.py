"""Inputs of all kinds, tried on constructors, specifications and the command line.

An input may be accepted, or refused with an error that the documentation names. Anything else is a fault. The tests in
`tests/fuzz` draw from the same generators.
"""

from importlib.util import find_spec

if find_spec("hypothesis") is None:
    raise ModuleNotFoundError("fuzzing needs the package hypothesis: pip install 'cls-env[dev]'")

from experiments.benchmarks.fuzzing.tally import try_inputs

__all__ = ["try_inputs"]

"""`python -m experiments.benchmarks.fuzzing`: how many inputs are accepted, refused, or neither."""

from __future__ import annotations

from collections import Counter

import tyro

from cls_env.command_line.printable import printable
from experiments.benchmarks.fuzzing.tally import OUTCOMES, try_inputs
from experiments.console import say


def fuzz(count: int = 10_000, seed: int = 0) -> None:
    """Try inputs of all kinds on constructors, specifications and the command line.

    Args:
        count: Number of inputs.
        seed: Determines the inputs.
    """
    verdicts = try_inputs(count, seed)
    for account in sorted({verdict.account for verdict in verdicts if verdict.outcome == "undocumented"}):
        say(printable(account), highlight=False)
    tally = Counter((verdict.target, verdict.outcome) for verdict in verdicts)
    for target in sorted({verdict.target for verdict in verdicts}):
        say(f"{target}: " + ", ".join(f"{tally[target, outcome]:,} {outcome}" for outcome in OUTCOMES))
    found = Counter(verdict.outcome for verdict in verdicts)
    say(f"{len(verdicts):,} inputs: " + ", ".join(f"{found[outcome]:,} {outcome}" for outcome in OUTCOMES))


if __name__ == "__main__":
    tyro.cli(fuzz)

"""What a dry run shows of a comparison of RL algorithms."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from experiments.config.entry import Entry
from experiments.console import say, show
from experiments.rl.algorithms import ALGORITHMS, find_algorithm


def show_algorithms(entries: Sequence[Entry]) -> None:
    """Print the shared settings and the algorithms.

    Raises:
        ValueError: An entry is impossible.
    """
    first, *_ = [entry.checked for entry in entries]
    say(first.config)
    table = Table("algorithm", "what it is", "feedback", "arguments", title=f"{len(entries)} runs")
    for name in dict.fromkeys(entry.contender for entry in entries):
        algorithm, arguments = find_algorithm(name)
        table.add_row(name, algorithm.title, algorithm.feedback, ", ".join(f"{k}={v}" for k, v in arguments.items()))
    show(table)
    say(f"known: {', '.join(ALGORITHMS)}")

"""What a dry run shows of a comparison of RL algorithms."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from experiments.comparisons.show_plan import run_lines
from experiments.config.entry import Entry
from experiments.console import say, show
from experiments.rl.algorithms import ALGORITHMS, find_algorithm


def show_algorithms(entries: Sequence[Entry]) -> None:
    """Print the shared settings and the algorithms.

    Raises:
        ValueError: An entry is impossible.
    """
    for entry in entries:
        entry.checked  # noqa: B018  # raises if it is impossible
    for line in run_lines(entries):
        say(line, highlight=False)
    table = Table("algorithm", "what it is", "feedback", "arguments", title=f"{len(entries)} runs")
    for name in dict.fromkeys(entry.contender for entry in entries):
        algorithm, arguments = find_algorithm(name)
        table.add_row(name, algorithm.title, algorithm.feedback, ", ".join(f"{k}={v}" for k, v in arguments.items()))
    show(table)
    say(f"known: {', '.join(ALGORITHMS)}")

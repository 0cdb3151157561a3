"""`python -m experiments objectives`, `modules` and `methods`: what the command line takes by name."""

from __future__ import annotations


def objectives_command() -> None:
    """List the objectives with their arguments, for --objective focal:gamma=2."""
    from experiments.console import show
    from experiments.reports.catalogue import objectives_table

    show(objectives_table())


def modules_command() -> None:
    """List the PEFT modules with their arguments, for --peft prefix:length=20, and those of peft that do not fit."""
    from experiments.console import say, show
    from experiments.reports.catalogue import modules_table, unfit_lines

    show(modules_table())
    say("\nof peft, but not for a ViT:", highlight=False)
    for line in unfit_lines():
        say(f"  {line}", highlight=False)


def methods_command() -> None:
    """List the continual-learning methods with their arguments, for --method lae:decay=0.999."""
    from experiments.console import show
    from experiments.reports.catalogue import methods_table

    show(methods_table())

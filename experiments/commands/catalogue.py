"""`cls-env objectives`, `modules` and `methods`: what the command line takes by name."""

from __future__ import annotations


def objectives_command() -> None:
    """List the objectives with their arguments, for --objective focal:gamma=2."""
    from experiments.catalogue.tables import table
    from experiments.console import show

    show(table("objective", "objective"))


def modules_command() -> None:
    """List the PEFT modules with their arguments, for --peft prefix:length=20, and those of peft that do not fit."""
    from experiments.catalogue.names import rows
    from experiments.catalogue.tables import table
    from experiments.console import say, show

    show(table("PEFT module", "module"))
    say("\nof peft, but not for a ViT:", highlight=False)
    for name, row in rows("PEFT module that does not fit").items():
        say(f"  {name}: {row['reason']}", highlight=False)


def methods_command() -> None:
    """List the continual-learning methods with their arguments, for --method lae:decay=0.999."""
    from experiments.catalogue.tables import table
    from experiments.console import show

    show(table("method", "method"))

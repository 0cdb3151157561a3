"""`cls-env study`: the list of studies, and the command of one."""

from __future__ import annotations

from collections.abc import Callable


def studies_command() -> None:
    """List the studies; `study NAME` runs one, and `study NAME --help` shows what can be changed."""
    from experiments.catalogue.names import rows
    from experiments.console import say, titled

    for name, study in rows("study").items():
        say(titled(name, f"{study['title']}; {study['runs']}"), highlight=False)
        say(f"    {study['question']}", highlight=False)


def named_study(name: str) -> Callable[..., None]:
    """The command that runs a study.

    Raises:
        ValueError: The study is unknown.
    """
    from experiments.catalogue.names import check_name

    check_name("study", name)
    from experiments.commands.study import study_command

    return study_command(name)

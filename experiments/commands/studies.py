"""`python -m experiments study`: the list of studies."""

from __future__ import annotations


def studies_command() -> None:
    """List the studies; `study NAME` runs one, and `study NAME --help` shows what can be changed."""
    from experiments.console import say, titled
    from experiments.studies import STUDIES

    for study in STUDIES.values():
        count = len(study.entries(study.config))
        more = ", and more that these lead to" if study.follow_up else ""
        say(titled(study.name, f"{study.title}; {count} runs{more}"), highlight=False)
        say(f"    {study.question}", highlight=False)

"""Continual-learning scenarios: what changes from task to task, and whether the task id is given at test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """The rules of a stream.

    Source: van de Ven et al., "Three types of incremental learning", Nature Machine Intelligence 2022.

    Attributes:
        name: Its key in `SCENARIOS`.
        by_domain: Whether each task is a domain that contains all classes. Otherwise tasks differ in their classes.
        task_id_given: Whether the task id is given at test: the action mask then holds only the image's own task.
        one_pass: Whether each training image is shown once before the next task starts.
    """

    name: str
    by_domain: bool
    task_id_given: bool
    one_pass: bool


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("class-incremental", by_domain=False, task_id_given=False, one_pass=False),
        Scenario("task-incremental", by_domain=False, task_id_given=True, one_pass=False),
        Scenario("domain-incremental", by_domain=True, task_id_given=False, one_pass=False),
        Scenario("online", by_domain=False, task_id_given=False, one_pass=True),
    )
}

"""Continual-learning scenarios: what changes from task to task, and what the learner is told about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """The rules of a stream, after van de Ven et al., "Three types of incremental learning" (2022).

    Attributes:
        name: Its key in `SCENARIOS`.
        by_domain: Every task holds all classes, and the domain changes; otherwise classes arrive task by task.
        task_named_at_test: At test the action mask of an image names the classes of its own task.
        one_pass: Each training image is shown once, then the stream goes on to the next task.
    """

    name: str
    by_domain: bool
    task_named_at_test: bool
    one_pass: bool


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("class-incremental", by_domain=False, task_named_at_test=False, one_pass=False),
        Scenario("task-incremental", by_domain=False, task_named_at_test=True, one_pass=False),
        Scenario("domain-incremental", by_domain=True, task_named_at_test=False, one_pass=False),
        Scenario("online", by_domain=False, task_named_at_test=False, one_pass=True),
    )
}

"""Streams of tasks over an image set: what arrives when, for whom, and with which labels."""

from cls_env.tasks.scenarios import SCENARIOS, Scenario
from cls_env.tasks.schedule import TaskSchedule
from cls_env.tasks.stream import TaskStream
from cls_env.tasks.task import Task

__all__ = ["SCENARIOS", "Scenario", "Task", "TaskSchedule", "TaskStream"]

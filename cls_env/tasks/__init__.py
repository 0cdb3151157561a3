"""Streams of tasks: the classes, images and labels of each task, and when the task changes."""

from cls_env.tasks.scenarios import SCENARIOS, Scenario
from cls_env.tasks.schedule import TaskSchedule
from cls_env.tasks.stream import TaskStream
from cls_env.tasks.task import Task

__all__ = ["SCENARIOS", "Scenario", "Task", "TaskSchedule", "TaskStream"]

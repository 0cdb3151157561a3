"""Errors of this package, in a module that imports little else."""

from __future__ import annotations

from cls_env.command_line.errors import ReportedError


class RunFailedError(ReportedError):
    """One run of a comparison ended with an error."""


class FolderInUseError(OSError):
    """Another process writes to a folder at the moment."""

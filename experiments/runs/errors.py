"""Errors of this package, in a module that imports nothing else."""

from __future__ import annotations


class RunFailedError(Exception):
    """One run of a comparison ended with an error."""


class FolderInUseError(OSError):
    """Another process writes to a folder at the moment."""

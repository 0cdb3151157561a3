"""Shared parts of the command lines: one-line errors, and worker processes that end with their parent."""

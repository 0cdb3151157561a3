"""Execution of many runs."""

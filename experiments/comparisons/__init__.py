"""Comparisons: many runs that differ in one setting at a time."""

"""Processes in which runs are carried out."""

"""Policies and agents in files, and out of them again; reading a file runs no code."""

from agents.checkpoint.policy_file import load_weights, read_description, save_checkpoint

__all__ = ["load_weights", "read_description", "save_checkpoint"]

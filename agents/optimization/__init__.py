"""Optimizers and learning rates, and what is checked while they run."""

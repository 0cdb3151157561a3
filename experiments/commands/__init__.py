"""The commands of `cls-env` that train, compare and use agents."""

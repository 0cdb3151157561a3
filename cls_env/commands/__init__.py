"""The commands of `cls-env`."""

"""`python -m experiments.benchmarks gpu`: whether training on a GPU is right, and how fast it is, in a few minutes.

Each part is a file with a function `checks(settings)`; `schedule` runs them in turn.
"""

"""Runs, comparisons, figures and benchmarks over the environments and the agents."""

"""Whether runs survive being stopped, hostile files and wrong input: `python -m experiments.benchmarks faults`."""

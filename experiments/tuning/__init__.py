"""The search for each objective's own learning rate and arguments, with an equal budget: `cls-env tune`."""

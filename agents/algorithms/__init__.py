"""Algorithms: EPG, REINFORCE and bandits, which train a policy in one-step environments."""

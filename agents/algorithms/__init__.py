"""Algorithms that train a policy on one-step environments: EPG, REINFORCE and bandits."""

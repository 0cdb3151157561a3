"""What stands between agents and environments: a VecEnv for Gymnasium, epochs, options, the identity of a stream."""

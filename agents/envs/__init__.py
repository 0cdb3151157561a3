"""How agents use environments: a VecEnv for Gymnasium, observation infos, epochs, options, identity of tasks."""

"""Parts for stable-baselines3's own algorithms: features extractor, policies, callback, replay buffer."""

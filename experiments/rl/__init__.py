"""Reinforcement-learning algorithms compared on one stream: same images, same network, same seeds."""

"""Training of one agent by several processes, which divide the passes through the network among them."""

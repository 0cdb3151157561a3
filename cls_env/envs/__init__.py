"""The environments: one image is one episode."""

"""Environments: one image is one episode."""

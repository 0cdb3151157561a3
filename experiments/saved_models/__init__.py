"""Saved agents answer: they classify images, and are evaluated on folders of labeled images."""

"""Stores of decoded images in a cache on disk, and the location of downloads."""

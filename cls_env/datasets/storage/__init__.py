"""Downloads, and decoded images in a cache on disk."""

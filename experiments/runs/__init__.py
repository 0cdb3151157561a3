"""One run: it is trained, measured and kept in a folder."""

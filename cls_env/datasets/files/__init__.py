"""Image files and class folders on disk or in archives, before any image is decoded."""

"""Files that are made to do harm when they are read, and what comes of reading them."""

"""What the command lines share: one-line errors, and worker processes that end with their parent."""

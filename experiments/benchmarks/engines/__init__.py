"""What the engines promise: nothing is lost or done twice, the results are the same, and what they cost."""

"""What the features of a frozen backbone know about a dataset."""

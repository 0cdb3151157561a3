"""One run: training, measures, and the folder of its results."""

"""Speed, as ratios of two sides measured in turn in one process."""

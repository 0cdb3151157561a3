"""Tables, statistics and figures of runs."""

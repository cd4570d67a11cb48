"""The benchmark: every forecaster on the same rows, from the data to one report."""

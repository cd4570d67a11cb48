"""Training runs: settings, checks beforehand, the run itself, and pre-training from nothing."""

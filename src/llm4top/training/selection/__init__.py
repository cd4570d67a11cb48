"""Model selection: candidates, baselines, and the choice between them."""

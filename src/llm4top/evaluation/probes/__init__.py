"""What a forecaster's predictions depend on: ablation, masking, contamination, leaks."""

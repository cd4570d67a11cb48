"""Forecasters: language models, baselines and blends; their calibration and bundles."""

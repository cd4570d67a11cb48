"""Forecasters: the language model behind its answer head, calibration and bundles."""

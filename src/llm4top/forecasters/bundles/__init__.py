"""Bundles: any forecaster as a folder of safetensors and JSON, each file hashed."""

"""Forecasts on request: child processes that parse uploads and hold models."""

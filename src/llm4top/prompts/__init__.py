"""Trials as prompts: one rendering function for zero-shot, training and forecasting."""

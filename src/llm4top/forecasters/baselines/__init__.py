"""Baselines: classical learners over trials."""

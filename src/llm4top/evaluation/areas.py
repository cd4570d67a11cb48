"""Therapeutic areas: they have moved to the registry."""

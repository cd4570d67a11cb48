"""Therapeutic areas: they have moved to the registry."""

from llm4top.registry.areas import therapeutic_area as therapeutic_area

"""LLM4TOP: the chance of success of a clinical trial, from its registry record, on this machine."""

__version__ = "0.1.0"

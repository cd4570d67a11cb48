"""Forecasters on disk: written, verified, read, stored."""

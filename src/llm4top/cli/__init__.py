"""The command line: one module per command, heavy imports inside the command."""

from llm4top.cli._app import app, main

__all__ = ["app", "main"]

"""The command `townpost`: one module a subcommand, imported only when it is the one that runs.

A subcommand has `configure(parser)`, which adds its arguments, and `run(given)`, which returns the exit status.
"""

from townpost.cli.command import main

__all__ = ["main"]

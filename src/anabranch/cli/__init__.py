"""The command line: the script `anabranch`.

Commands import what they need when they run, so that `anabranch --help` answers at once.
"""

from anabranch.cli.app import app, main

__all__ = ["app", "main"]

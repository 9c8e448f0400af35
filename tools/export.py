#!/usr/bin/env python3
"""Export a network: `avslowfast export` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("export", script="export.py"))

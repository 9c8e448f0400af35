#!/usr/bin/env python3
"""Score results by the rules of a data set: `avslowfast evaluate` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("evaluate", script="evaluate.py"))

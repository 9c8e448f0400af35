#!/usr/bin/env python3
"""Explain predictions: `avslowfast explain` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("explain", script="explain.py"))

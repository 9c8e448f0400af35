#!/usr/bin/env python3
"""Measure how fast things are: `avslowfast benchmark` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("benchmark", script="benchmark.py"))

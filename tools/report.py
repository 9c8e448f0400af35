#!/usr/bin/env python3
"""Write a page about a run: `avslowfast report` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("report", script="report.py"))

#!/usr/bin/env python3
"""Prepare downloaded videos: `avslowfast prepare` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("prepare", script="prepare_data.py"))

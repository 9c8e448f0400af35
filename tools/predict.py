#!/usr/bin/env python3
"""Say what happens in videos: `avslowfast predict` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("predict", script="predict.py"))

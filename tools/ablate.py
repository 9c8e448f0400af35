#!/usr/bin/env python3
"""Train and compare the networks of a suite: `avslowfast ablate` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("ablate", script="ablate.py"))

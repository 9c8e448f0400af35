#!/usr/bin/env python3
"""Train and test a network: `avslowfast train` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", script="run_net.py"))

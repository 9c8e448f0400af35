#!/usr/bin/env python3
"""Convert a checkpoint: `avslowfast convert` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("convert", script="convert_checkpoint.py"))

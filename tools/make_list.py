#!/usr/bin/env python3
"""Make list files: `avslowfast lists` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("lists", script="make_list.py"))

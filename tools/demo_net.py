#!/usr/bin/env python3
"""Annotate videos: `avslowfast demo` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("demo", script="demo_net.py"))

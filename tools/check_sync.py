#!/usr/bin/env python3
"""Estimate audiovisual offsets: `avslowfast sync` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("sync", script="check_sync.py"))

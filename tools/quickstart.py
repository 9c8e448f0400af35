#!/usr/bin/env python3
"""Render SynthAV, train and test on it: `avslowfast quickstart` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("quickstart", script="quickstart.py"))

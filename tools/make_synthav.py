#!/usr/bin/env python3
"""Render SynthAV: `avslowfast synthav` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("synthav", script="make_synthav.py"))

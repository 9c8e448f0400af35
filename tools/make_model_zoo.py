#!/usr/bin/env python3
"""Write MODEL_ZOO.md: `avslowfast zoo` as a script."""

import sys

from avslowfast.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("zoo", script="make_model_zoo.py"))

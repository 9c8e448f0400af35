#!/usr/bin/env python3
"""Convert a checkpoint between this project, PySlowFast (with sound: the AVSlowFast authors' names) and PyTorchVideo.

Examples:
    python tools/convert_checkpoint.py SLOWFAST_8x8_R50.pkl slowfast.pyth --to avslowfast
    python tools/convert_checkpoint.py output/synthav_avslowfast/checkpoints/checkpoint_best.pyth authors.pyth --to pyslowfast

The format of IN is found out from the file. There and back gives the same tensors, bit for bit. Exit codes: 0 done; 2 it cannot be done.
"""

import argparse
import os
import sys

from avslowfast.checkpoint import WRITABLE
from avslowfast.checkpoint.convert import convert
from avslowfast.utils.errors import UserError


def main(argv=None):
    """Convert and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="IN", help="checkpoint of any supported format")
    parser.add_argument("out", metavar="OUT", help="file to write")
    parser.add_argument("--to", required=True, choices=WRITABLE, help="format of OUT")
    args = parser.parse_args(argv)
    if os.path.abspath(args.source) == os.path.abspath(args.out):
        parser.error("IN and OUT are the same file; choose another OUT")
    try:
        print(convert(args.source, args.out, args.to))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

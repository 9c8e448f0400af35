#!/usr/bin/env python3
"""Write a page about a run: curves, results, confusion, best and worst clips with their sound, failed files, speed. One HTML file, no network.

Example:
    python tools/report.py output/synthav_avslowfast

Exit codes: 0 done; 2 no run in the folder.
"""

import argparse
import os
import sys

from avslowfast.utils.errors import UserError
from avslowfast.visualization.report import make_report


def main(argv=None):
    """Write the page; print where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="OUTPUT_DIR", help="folder of a run")
    parser.add_argument("--out", help="file to write (default: report.html in the folder)")
    args = parser.parse_args(argv)
    try:
        path = make_report(args.folder, args.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{path}: {os.path.getsize(path) / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

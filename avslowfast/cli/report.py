"""Write a page about a run: curves, results, confusion, best and worst clips with their audio, failed files, speed.

Example:
    avslowfast report output/synthav_avslowfast

The page is one HTML file that needs no network. Exit codes: 0 done; 2 no run in the folder.
"""

import argparse
import os

from .parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """A run's folder, and the file to write."""
    parser.add_argument("folder", metavar="OUTPUT_DIR", help="folder of a run")
    parser.add_argument("--out", help="file to write (default: report.html in the folder)")


def run(args: argparse.Namespace) -> int:
    """Write the page; print where it is."""
    from ..visualization.report import make_report

    path = make_report(args.folder, args.out)
    print(f"{path}: {os.path.getsize(path) / 2**20:.1f} MiB")
    return 0

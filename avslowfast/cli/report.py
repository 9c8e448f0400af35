"""Write a page about a run: curves, results, confusion, best and worst clips, failed files, speed; or compare runs.

Examples:
    avslowfast report output/synthav_avslowfast
    avslowfast report output/synthav_avslowfast output/synthav_slowfast --out comparison.html

The page is one HTML file that needs no network. Of several runs it shows results, curves, classes and configurations
side by side, and the difference from the first run on the same videos with its interval. Exit codes: 0 done; 2 no run
in a folder.
"""

import argparse
import os

from .parser import CommandParser, UsageError, written_file


def add_arguments(parser: CommandParser) -> None:
    """Folders of runs, and the file to write."""
    parser.add_argument("folders", metavar="OUTPUT_DIR", nargs="+", help="folder of a run, or of several")
    parser.add_argument(
        "--out",
        type=written_file,
        help="file to write (default: report.html in the folder; comparison.html of several)",
    )
    parser.add_argument(
        "--players",
        action="store_true",
        help="each clip gets a page to play with; the network looks at the clips anew",
    )


def run(args: argparse.Namespace) -> int:
    """Write the page; print where it is."""
    from ..visualization.report import make_comparison, make_report

    if len(args.folders) == 1:
        path = make_report(args.folders[0], args.out, args.players)
    elif args.players:
        raise UsageError("--players goes with a single run; leave it out to compare several")
    else:
        path = make_comparison(args.folders, args.out or "comparison.html")
    print(f"{path}: {os.path.getsize(path) / 2**20:.1f} MiB")
    return 0

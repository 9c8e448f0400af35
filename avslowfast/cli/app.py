"""Serve a page on this machine: drop a video or record one, see and hear what networks make of it.

Examples:
    avslowfast app --weights output/synthav_avslowfast
    avslowfast app --weights output/synthav_avslowfast output/synthav_slowfast --port 7861

Each network has a column of its own: its classes for the whole file, and a page to play with over time. Only this
machine reaches it unless --host says otherwise (0.0.0.0: everybody who reaches this machine). What is uploaded lies in
a folder of its own and is removed when its tab is closed, after an hour, and at the end. Needs gradio: pip install
avslowfast[app]. Exit codes: 0 ended by Ctrl-C; 2 a mistake.
"""

import argparse
import signal
import sys

from .parser import CommandParser, count_of, load_models, seconds


def add_arguments(parser: CommandParser) -> None:
    """Networks, where to listen, what is taken."""
    parser.add_weights(several=True)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=count_of(0, 65535),
        default=7860,
        help="port to listen at, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument("--topk", type=count_of(1, 1000), default=5, help="classes to show (default: %(default)s)")
    parser.add_argument(
        "--max-seconds",
        type=seconds,
        default=300.0,
        metavar="SECONDS",
        help="longest file that is taken (default: %(default)g)",
    )
    parser.add_argument(
        "--max-megabytes",
        type=count_of(1, 100000),
        default=200,
        metavar="MB",
        help="largest file that is taken (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Load the networks and serve them."""
    from ..visualization.app import serving

    # What was uploaded is removed however the command ends.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    models = [model for model, _ in load_models(args)]
    with serving(
        models,
        host=args.host,
        port=args.port,
        topk=args.topk,
        max_seconds=args.max_seconds,
        max_megabytes=args.max_megabytes,
    ) as app:
        print(f"{app.local_url}  (Ctrl-C ends)", flush=True)
        app.block_thread()
    return 0

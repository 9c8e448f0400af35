"""Convert a checkpoint between this project, PySlowFast (with audio: the AVSlowFast authors' names) and PyTorchVideo.

Examples:
    avslowfast convert SLOWFAST_8x8_R50.pkl slowfast.pyth --to avslowfast
    avslowfast convert output/synthav_avslowfast/checkpoints/checkpoint_best.pyth authors.pyth --to pyslowfast
    avslowfast convert slowfast.pyth slowfast.safetensors --to pyslowfast

The format of IN is detected automatically. There and back gives the same tensors, bit for bit. Exit codes: 0 done; 2
it cannot be done.
"""

import argparse
import os

from .parser import CommandParser, UsageError, written_file

FORMATS = ("avslowfast", "pyslowfast", "pytorchvideo")


def add_arguments(parser: CommandParser) -> None:
    """Two files and a format."""
    parser.add_argument("source", metavar="IN", help="checkpoint of any supported format")
    parser.add_argument(
        "out", type=written_file, metavar="OUT", help="file to write; .safetensors is written in that format"
    )
    parser.add_argument("--to", required=True, choices=FORMATS, help="format of OUT")


def run(args: argparse.Namespace) -> int:
    """Convert and say what was done."""
    if os.path.abspath(args.source) == os.path.abspath(args.out):
        raise UsageError("IN and OUT are the same file; choose another OUT")
    from ..checkpoint.convert import convert

    print(convert(args.source, args.out, args.to))
    return 0

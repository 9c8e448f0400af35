"""Write the features of videos to a file.

Examples:
    avslowfast features --weights output/synthav_avslowfast --out features.h5 data/synthav/test
    avslowfast features --weights weights.pkl --model SLOWFAST_8x8_R50 --stage res4 --out features.pt videos.txt

VIDEOS is a folder, or a list with one video per line. A file that exists is completed, so an interrupted command
resumes. Writing .h5 needs h5py. Exit codes: 0 done; 2 a mistake, or a file that cannot be read (the others are
written all the same).
"""

import argparse
import sys

from ..utils.errors import MISTAKE
from .parser import CommandParser, load_model, written_file


def add_arguments(parser: CommandParser) -> None:
    """A network, videos, what to write."""
    parser.add_weights()
    parser.add_argument("--stage", default="res5", help="stage whose features are pooled (default: %(default)s)")
    parser.add_argument("--out", type=written_file, required=True, metavar="FILE", help="file to write, .h5 or .pt")
    parser.add_argument("videos", metavar="VIDEOS", help="folder of videos, or a list with one video per line")


def run(args: argparse.Namespace) -> int:
    """Write the features; the log names the files that could not be read."""
    import avslowfast

    model, _ = load_model(args)
    count, failed = avslowfast.extract_features(model, args.videos, stage=args.stage, out=args.out)
    text = f"{args.out}: features of {count} videos, {len(failed)} failed"
    if not failed:
        print(text)
        return 0
    # Each of them has been named.
    print(f"error: {text}", file=sys.stderr)
    return MISTAKE

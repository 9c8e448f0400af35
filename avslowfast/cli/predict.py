"""Say what happens in videos, or in sounds.

Example:
    avslowfast predict --weights output/synthav_avslowfast data/synthav/test/000000.mp4

WEIGHTS is a run's OUTPUT_DIR, a checkpoint of any supported format, or with --model the weights of that
configuration. Names of the classes come from the checkpoint. Exit codes: 0 done; 2 a mistake, or a file that cannot
be read (the others are predicted all the same).
"""

import argparse
import sys

from ..utils.errors import MISTAKE
from .parser import CommandParser, count_of, load_model, written_file


def add_arguments(parser: CommandParser) -> None:
    """A network, videos, what to print."""
    parser.add_weights()
    parser.add_argument("--topk", type=count_of(1, 10**6), default=5, help="classes to print (default: %(default)s)")
    parser.add_argument(
        "--views", type=count_of(1, 10_000), help="clips over each video's length (default: the configuration's)"
    )
    parser.add_argument("--csv", type=written_file, help="file for a table: path, classifier, rank, class, score")
    parser.add_argument(
        "videos", nargs="+", help="video files (sound files for a network without frames), or folders of them"
    )


def run(args: argparse.Namespace) -> int:
    """Predict each file; print and, where asked for, write a CSV."""
    import avslowfast

    from ..inference.scoring import NotFiniteError
    from ..media import DecodeError
    from ..media.files import list_videos
    from ..utils.text import write_csv

    model, meta = load_model(args)
    rows, failed = [], 0
    for path in list_videos(args.videos, meta.only_listens):
        try:
            result = avslowfast.predict(model, path, args.topk, args.views)
        except (DecodeError, NotFiniteError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        print(path)
        for head, best in (result if isinstance(result, dict) else {"": result}).items():
            for rank, (name, _, score) in enumerate(best, 1):
                print(f"  {100 * score:5.1f} %  {head + ': ' if head else ''}{name}")
                rows.append([path, head, rank, name, f"{score:.6g}"])
    if args.csv:
        write_csv(args.csv, [["path", "classifier", "rank", "class", "score"], *rows])
    return MISTAKE if failed else 0

#!/usr/bin/env python3
"""Show what a network looks at and listens to for a class, and what each sense contributes.

Examples:
    python tools/explain.py --weights output/synthav_avslowfast data/synthav/test/000000.mp4
    python tools/explain.py --weights output/own_videos --class clapping --out pictures my_videos/clapping

For the middle clip of each file: Grad-CAM over frames and log-mel side by side, and the class's score with both senses, with the sound masked
and with blank pictures, as a picture and as JSON. Without --class it is the best one. Exit codes: 0 done; 2 a mistake, or a file that cannot be read.
"""

import argparse
import json
import os
import sys

import avslowfast
from avslowfast.inference.explain import draw_explanation, explain
from avslowfast.inference.sliding_window import class_index
from avslowfast.media import DecodeError
from avslowfast.preparation.folders import list_videos
from avslowfast.utils.errors import UserError


def main(argv=None):
    """Explain each file; print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="OUTPUT_DIR of a run, or a checkpoint")
    parser.add_argument("--model", help="configuration of a checkpoint that holds none")
    parser.add_argument("--class", dest="name", help="name or number of the class (default: the best one)")
    parser.add_argument("--stage", help="stage to look at, e.g. res4 (default: the deepest that still says where)")
    parser.add_argument("--out", default="explanations", help="folder for the pictures (default: %(default)s)")
    parser.add_argument("videos", nargs="+", help="video files, or folders of them")
    args = parser.parse_args(argv)
    failed = 0
    try:
        model, meta = (
            avslowfast.load_model(args.model, args.weights) if args.model else avslowfast.load_model(args.weights)
        )
        index = None if args.name is None else class_index(meta, args.name)
        for video in list_videos(args.videos):
            try:
                found = explain(model, model.meta.preprocess(video, views=1, crops=1), index, args.stage)
            except DecodeError as error:
                print(f"error: {error}", file=sys.stderr)
                failed += 1
                continue
            base = os.path.join(args.out, os.path.splitext(os.path.basename(video))[0])
            draw_explanation(found, meta, f"{base}.png", os.path.basename(video))
            numbers = {
                "video": str(video),
                "class": meta.class_name(found.index),
                "score": found.score,
                "start": found.start,
                **found.contributions,
            }
            with open(f"{base}.json", "w", encoding="utf-8") as f:
                json.dump(numbers, f, indent=1)
            words = ", ".join(
                f"{name} {100 * score:.1f} %" for name, score in (found.contributions or {"score": found.score}).items()
            )
            print(f"{video}: {meta.class_name(found.index)}: {words}  ({base}.png)")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

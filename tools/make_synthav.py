#!/usr/bin/env python3
"""Render SynthAV: a data set of real video files whose class only sight and sound together can tell.

Example:
    python tools/make_synthav.py --out data/synthav

Variants: pairs (16 classes; sight and sound each tell one half), hard (8 classes, few training clips, sound that is sometimes wrong),
bounces (impacts with clicks), epic (kitchens with verbs and nouns, in the
layout of EPIC-Kitchens-55), charades (overlapping events, in the layout of Charades), ava (movies with boxes of
people, in that of AVA). Writes real video files and the label files of the layout. Running it again renders only what is missing.
"""

import argparse
import json
import multiprocessing
import os
import time

from tqdm import tqdm

from avslowfast.synthav import layouts as synthetic_sets
from avslowfast.synthav import render as synthetic

_NUM = {
    "pairs": (640, 96, 320),
    "hard": (160, 64, 320),
    "bounces": (640, 96, 320),
    "epic": (80, 36),
    "charades": (480, 160),
    "ava": (40, 16),
}
_PARTS = {
    **dict.fromkeys(("pairs", "hard", "bounces"), ("train", "val", "test")),
    "epic": ("train", "val"),
    "charades": ("train", "test"),
    "ava": ("train", "val"),
}


def main():
    """Parse the command line and render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="data/synthav", help="folder to write (default: %(default)s)")
    parser.add_argument("--variant", default="pairs", choices=list(_NUM), help="kind of clips (default: %(default)s)")
    parser.add_argument(
        "--num-clips",
        type=int,
        nargs="+",
        metavar="N",
        help="videos: TRAIN VAL TEST (pairs, bounces: 640 96 320; hard: "
        "160 64 320), TRAIN VAL (epic: 80 36, of 8 segments each), TRAIN TEST (charades: 480 160), TRAIN VAL (ava: 40 16)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    args = parser.parse_args()
    counts = args.num_clips or _NUM[args.variant]
    if len(counts) != len(_NUM[args.variant]):
        parser.error(f"--num-clips takes {len(_NUM[args.variant])} numbers for {args.variant}, not {len(counts)}")
    make(args.out, args.variant, dict(zip(_PARTS[args.variant], counts)), args.seed, args.jobs)


def make(out, variant, num_clips, seed, jobs):
    """Render what is missing in `out` and write the label files.

    Raises:
        SystemExit: the folder holds clips of another variant or seed.
    """
    began = time.time()
    os.makedirs(out, exist_ok=True)
    settings = {"variant": variant, "seed": seed}
    stamp = os.path.join(out, "synthav.json")
    if os.path.exists(stamp):
        with open(stamp) as f:
            found = json.load(f)
        if found != settings:
            raise SystemExit(f"{out} holds SynthAV {found}, not {settings}; choose another --out, or remove the folder")
    with open(stamp, "w") as f:
        json.dump(settings, f)

    def render(function, work):
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            return list(
                tqdm(pool.imap(function, work, chunksize=2), total=len(work), desc=f"SynthAV {variant}", disable=None)
            )

    if variant == "epic":
        rows = render(
            synthetic_sets.write_epic_video, synthetic_sets.plan_epic(out, seed, num_clips["train"], num_clips["val"])
        )
        what = f"{synthetic_sets.write_epic_labels(out, rows)} segments of {len(rows)} videos"
    elif variant == "ava":
        rows = render(
            synthetic_sets.write_ava_movie, synthetic_sets.plan_ava(out, seed, num_clips["train"], num_clips["val"])
        )
        what = f"{synthetic_sets.write_ava_labels(out, rows, num_clips['train'], seed)} boxes in {len(rows)} movies"
    elif variant == "charades":
        rows = render(
            synthetic_sets.write_charades_video,
            synthetic_sets.plan_charades(out, seed, num_clips["train"], num_clips["test"]),
        )
        what = f"{synthetic_sets.write_charades_labels(out, rows, num_clips['train'])} videos"
    else:
        what = _make_clips(out, variant, num_clips, seed, render)
    print(f"{out}: {what}, {time.time() - began:.0f} s")


def _make_clips(out, variant, num_clips, seed, render):
    """Clips with lists in Kinetics' format."""
    for split in num_clips:
        os.makedirs(os.path.join(out, split), exist_ok=True)
    work, lists = synthetic.plan_dataset(out, variant, num_clips, seed)
    rendered = sum(render(synthetic.write_clip, work))
    for split, lines in lists.items():
        with open(os.path.join(out, f"{split}.csv"), "w") as f:
            f.write("\n".join(lines) + "\n")
    with open(os.path.join(out, "classes.txt"), "w") as f:
        f.write("\n".join(synthetic.class_names(variant)) + "\n")
    return f"{len(work)} clips ({rendered} rendered), {len(synthetic.class_names(variant))} classes"


if __name__ == "__main__":
    main()

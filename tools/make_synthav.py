#!/usr/bin/env python3
"""Render SynthAV: a data set of real video files whose class only sight and sound together can tell.

Example:
    python tools/make_synthav.py --out data/synthav

Writes mp4 files, train.csv, val.csv, test.csv and classes.txt. Running it again renders only what is missing.
"""

import argparse
import json
import multiprocessing
import os
import time

from tqdm import tqdm

from avslowfast.datasets import synthetic


def main():
    """Parse the command line and render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="data/synthav", help="folder to write (default: %(default)s)")
    parser.add_argument("--variant", default="pairs", choices=["pairs", "bounces"], help="kind of clips (default: %(default)s)")
    parser.add_argument("--num-clips", type=int, nargs=3, default=[640, 96, 320], metavar=("TRAIN", "VAL", "TEST"), help="clips (default: 640 96 320)")
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    args = parser.parse_args()
    make(args.out, args.variant, dict(zip(("train", "val", "test"), args.num_clips)), args.seed, args.jobs)


def make(out, variant, num_clips, seed, jobs):
    """Render what is missing in `out` and write the lists.

    Raises:
        SystemExit: the folder holds clips of another variant or seed.
    """
    began = time.time()
    for split in num_clips:
        os.makedirs(os.path.join(out, split), exist_ok=True)
    settings = {"variant": variant, "seed": seed}
    stamp = os.path.join(out, "synthav.json")
    if os.path.exists(stamp):
        with open(stamp) as f:
            found = json.load(f)
        if found != settings:
            raise SystemExit(f"{out} holds SynthAV {found}, not {settings}; choose another --out, or remove the folder")
    with open(stamp, "w") as f:
        json.dump(settings, f)
    work, lists = synthetic.plan_dataset(out, variant, num_clips, seed)
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        rendered = sum(tqdm(pool.imap_unordered(synthetic.write_clip, work, chunksize=8), total=len(work), desc=f"SynthAV {variant}", disable=None))
    for split, lines in lists.items():
        with open(os.path.join(out, f"{split}.csv"), "w") as f:
            f.write("\n".join(lines) + "\n")
    with open(os.path.join(out, "classes.txt"), "w") as f:
        f.write("\n".join(synthetic.class_names(variant)) + "\n")
    print(f"{out}: {len(work)} clips ({rendered} rendered in {time.time() - began:.0f} s), {len(synthetic.class_names(variant))} classes")


if __name__ == "__main__":
    main()

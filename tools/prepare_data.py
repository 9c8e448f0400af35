#!/usr/bin/env python3
"""Make downloaded videos quick to read, and say what is missing.

Examples:
    python tools/prepare_data.py kinetics400 --annotations k400/annotations --videos k400/downloaded --out data/k400
    python tools/prepare_data.py epic55 --annotations epic55/annotations --videos epic55/videos --out data/epic55
    python tools/prepare_data.py ava --annotations ava/annotations --videos ava/movies --out data/ava --check

NAME: kinetics400, kinetics600, kinetics_sounds, epic55, epic100, charades, ava, ave, vggsound, ucf101, hmdb51. Annotations are the official
label files, unchanged. Videos may have any ending and lie in any folder, as long as their names are those of the labels. Each is written
to OUT/videos as H.264 and AAC: short side 256, a key frame every second, sound where it was (of AVA's movies seconds 900 to 1801 alone).
An interrupted run goes on when the command is given again. Missing and unreadable videos are counted and listed in OUT/problems.csv;
for Kinetics OUT/lists receives train.csv, val.csv, test.csv and classes.txt. Exit codes: 0 done; 2 a mistake, or not one video found.
"""

import argparse
import os
import sys

from avslowfast.config import ConfigError, load_cfg
from avslowfast.datasets.kinetics import read_crawled_splits
from avslowfast.loading import build_dataset
from avslowfast.preparation.prepare import plan_jobs, prepare, write_problems
from avslowfast.utils.errors import UserError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_FOLDS = [["DATA.FOLD", fold] for fold in (1, 2, 3)]
# {name: (configuration, overrides that together name all of its videos)}
SETS = {
    "kinetics_sounds": ("KineticsSounds/AVSLOWFAST_8x8_R50", [[]]),
    "epic55": (
        "EPIC55/AVSLOWFAST_8x8_R50",
        [["DATA.TRAIN_PART", "all"], ["DATA.TEST_PART", "s1"], ["DATA.TEST_PART", "s2"]],
    ),
    "epic100": ("EPIC100/AVSLOWFAST_8x8_R50", [[], ["DATA.TEST_PART", "test"]]),
    "charades": ("Charades/AVSLOWFAST_16x8_R50", [[]]),
    "ava": ("AVA/AVSLOWFAST_32x2_R50_SHORT", [[]]),
    "ave": ("AVE/AVSLOWFAST_8x8_R50", [[]]),
    "vggsound": ("VGGSound/AVSLOWFAST_8x8_R50", [[]]),
    "ucf101": ("UCF101/AVSLOWFAST_8x8_R50", _FOLDS),
    "hmdb51": ("HMDB51/AVSLOWFAST_8x8_R50", _FOLDS),
}
KINETICS = {"kinetics400": ("Kinetics/AVSLOWFAST_8x8_R50", 400), "kinetics600": ("Kinetics600/AVSLOWFAST_8x8_R50", 600)}
# Where prepared files have another ending than the labels say.
_VIDEO_FILE = {"ucf101": "{stem}.mp4", "hmdb51": "{name}/{stem}.mp4"}


def main(argv=None):
    """Plan, prepare, list, summarise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*KINETICS, *SETS], metavar="NAME", help="the data set")
    parser.add_argument("--annotations", required=True, metavar="DIR", help="folder of the label files")
    parser.add_argument("--videos", required=True, metavar="DIR", help="folder of the downloaded videos")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--short-side",
        type=int,
        default=256,
        metavar="PIXELS",
        help="short side of the prepared videos (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="videos prepared at a time (default: one a core)"
    )
    parser.add_argument("--check", action="store_true", help="say what is there and what is missing; write no video")
    args = parser.parse_args(argv)
    videos = os.path.join(args.out, "videos")
    try:
        if args.name in KINETICS:
            splits, names = read_crawled_splits(args.annotations, KINETICS[args.name][1])
            paths = {split: [os.path.join(args.videos, file) for file, _ in rows] for split, rows in splits.items()}
        else:
            paths = named_videos(args.name, args.annotations, args.videos)
        jobs = plan_jobs(paths, args.videos, videos)
        if not any(job.source or os.path.isfile(job.out) for job in jobs):
            raise ConfigError(
                f"{args.videos}: not one of the {len(jobs)} videos of {args.name} is in it, the first looked for: {jobs[0].wanted}"
            )
        prepare(jobs, args.short_side, movies=args.name == "ava", workers=args.jobs, dry=args.check)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_problems(jobs, os.path.join(args.out, "problems.csv"))
    print(summary(jobs, list(paths)))
    annotations = args.annotations
    if args.name in KINETICS:
        annotations = os.path.join(args.out, "lists")
        if not args.check:
            write_lists(annotations, splits, names, {job.name for job in jobs if job.state in ("prepared", "there")})
    if not args.check:
        print(next_step(args.name, annotations, videos))
    return 0


def named_videos(name, annotations, videos):
    """{split: paths of the videos that its label files name}; label files that are not there are told and passed over."""
    config, parts = SETS[name]
    base = ["DATA.PATH_TO_DATA_DIR", annotations, "DATA.PATH_PREFIX", videos]
    if name == "ava":
        version = next(
            (v for v in ("2.2", "2.1") if os.path.isfile(os.path.join(annotations, f"ava_val_v{v}.csv"))), "2.2"
        )
        base += [
            "AVA.TRAIN_GT_BOX_LISTS",
            [f"ava_train_v{version}.csv"],
            "AVA.TRAIN_PREDICT_BOX_LISTS",
            [],
            "AVA.TEST_PREDICT_BOX_LISTS",
            [f"ava_val_v{version}.csv"],
        ]
    found, lacking = {}, []
    for part in parts:
        cfg = load_cfg(os.path.join(ROOT, "configs", f"{config}.yaml"), [*base, *part])
        for split in ("train", "test"):
            label = split if len(parts) == 1 or name.startswith("epic") else f"{split} {part[-1]}"
            label = part[-1] if split == "test" and part and part[0] == "DATA.TEST_PART" else label
            try:
                records = build_dataset(cfg, split).records
            except ConfigError as error:
                lacking.append(f"{label}: {error}")
                continue
            found.setdefault(label, list(dict.fromkeys(record.path for record in records)))
    for text in dict.fromkeys(lacking):
        print(f"note: not looked at: {text}")
    if not found:
        raise ConfigError(f"{annotations}: no label files of {name} in it (DATASETS.md says which)")
    return found


def summary(jobs, splits):
    """A table of states by split, as lines."""
    states = [
        state
        for state in ("found", "prepared", "there", "missing", "unreadable")
        if any(job.state == state for job in jobs)
    ]
    width = max(len(split) for split in [*splits, "all"])
    lines = [f"{'':<{width}}{'videos':>12}" + "".join(f"{state:>12}" for state in states)]
    for split in [*splits, "all"]:
        mine = [job for job in jobs if split == "all" or split in job.splits]
        lines.append(
            f"{split:<{width}}{len(mine):>12}"
            + "".join(f"{sum(job.state == state for job in mine):>12}" for state in states)
        )
    damaged = [job for job in jobs if job.damaged]
    if damaged:
        lines.append(
            f"{len(damaged)} files had damaged packets, which were left out; the first: {damaged[0].source} ({damaged[0].damaged})"
        )
    for state in ("missing", "unreadable"):
        first = next((job for job in jobs if job.state == state), None)
        if first:
            lines.append(
                f"{state}: the first is {first.wanted}{': ' + first.reason if first.reason else ''}; all of them: problems.csv"
            )
    return "\n".join(lines)


def write_lists(folder, splits, names, there):
    """Kinetics' list files, of the videos that are there; without labels for the test the validation list serves."""
    os.makedirs(folder, exist_ok=True)
    if "test" not in splits and "val" in splits:
        print("note: no labels for the test; test.csv holds the validation videos, as in the literature")
        splits = {**splits, "test": splits["val"]}
    for split, rows in splits.items():
        with open(os.path.join(folder, f"{split}.csv"), "w", encoding="utf-8") as f:
            f.writelines(f"{file} {label}\n" for file, label in rows if file in there)
    with open(os.path.join(folder, "classes.txt"), "w", encoding="utf-8") as f:
        f.writelines(f"{name}\n" for name in names)


def next_step(name, annotations, videos):
    """The command that trains on what has been prepared."""
    config = KINETICS[name][0] if name in KINETICS else SETS[name][0]
    pattern = f" DATA.VIDEO_FILE '{_VIDEO_FILE[name]}'" if name in _VIDEO_FILE else ""
    return f"\nNext, for example:\n  python tools/run_net.py --cfg configs/{config}.yaml DATA.PATH_TO_DATA_DIR {annotations} DATA.PATH_PREFIX {videos}{pattern}"


if __name__ == "__main__":
    sys.exit(main())

"""Put the videos of a data set into tar shards, as the package webdataset reads them.

Examples:
    avslowfast pack SynthAV/AVSLOWFAST_TINY --out data/synthav_shards --size 20MB DATA.PATH_TO_DATA_DIR data/synthav
    avslowfast pack my_epic.yaml --out /fast/epic --splits train,val --name epic100 --verify

The videos that the configuration's lists name are copied, whatever the data set: OUT/NAME-SPLIT-000000.tar and so on,
each with an index. A member is key.mp4 with key.json (labels, spans) and, where a video has one class, key.cls. A file
that several records name is packed once. Shards follow from the lists alone: a run that was killed resumes when the
command is given again. Files that cannot be read are counted and listed in OUT/problems.csv. Train from the shards
with the keys that are printed at the end: list files for lists, DATA.PATH_PREFIX OUT/shards.csv# for other data sets.
Exit codes: 0 done; 2 a mistake, or not one file.
"""

import argparse
import os
import re
import shlex
import time

from .parser import CommandParser, written

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def _bytes(text: str) -> int:
    """A size such as 1GB, 500MB or 1GiB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]i?|)b?", text.strip().lower())
    if not match or not 10**4 <= float(match[1]) * _UNITS[match[2]] <= 10**15:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 1GB, 500MB or 1GiB, from 10kB to 1000TB")
    return int(float(match[1]) * _UNITS[match[2]])


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w-]{1,100}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: use letters, digits, _ and -")
    return text


def add_arguments(parser: CommandParser) -> None:
    """A data set, where it goes, how large the shards are."""
    parser.add_configuration()
    parser.add_argument("--out", type=written, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--size", type=_bytes, default=10**9, help="of a shard, at most (default: 1GB)")
    parser.add_argument("--name", type=_name, help="what the shards are called (default: the data set)")
    parser.add_argument("--splits", default="train,val,test", help="which lists (default: %(default)s)")
    parser.add_argument(
        "--verify", action="store_true", help="read every shard and compare checksums; a damaged one is written anew"
    )


def run(args: argparse.Namespace) -> int:
    """Plan, write, list, summarise."""
    from ..config import import_modules, load_cfg
    from ..loading.build import read_listing, SPLITS, storage_settings
    from ..media.storage import configure
    from ..preparation import packing
    from ..utils.files import check_writable
    from ..utils.lock import FolderLock
    from ..utils.text import counted, write_csv
    from .parser import UsageError

    import_modules(args.imports)
    cfg = load_cfg(args.config, args.overrides)
    configure(storage_settings(cfg))
    splits = [split for split in args.splits.split(",") if split]
    if not splits or set(splits) - set(SPLITS):
        raise UsageError(f"--splits is {args.splits!r}: use some of {','.join(SPLITS)}")
    data = cfg.DATA
    if os.path.realpath(args.out) == os.path.realpath(data.PATH_TO_DATA_DIR):
        raise UsageError(f"--out is {args.out!r}: the data set's own lists are there; choose another folder")
    listings = {split: read_listing(cfg, split) for split in splits}
    name = args.name or cfg.TRAIN.DATASET.lower()
    plan = packing.plan_shards(listings, data.PATH_PREFIX or data.PATH_TO_DATA_DIR, args.size, name)
    check_writable(args.out, "--out")
    # A second process would remove what this one has half written.
    with FolderLock(args.out, name="--out"):
        packing.check_plan(plan, args.out)
        began = time.monotonic()
        written, there = packing.write_shards(plan, args.out, args.verify, lambda line: print(f"warning: {line}"))
        packing.write_catalog(plan, args.out)
        if plan.problems:
            write_csv(os.path.join(args.out, "problems.csv"), [("path", "reason"), *plan.problems])
        has_lists = packing.write_packed_lists(plan, listings, args.out, data.PATH_LABEL_SEPARATOR)
    total = sum(os.path.getsize(os.path.join(args.out, shard)) for shard in plan.shards)
    print(
        f"{args.out}: {counted(len(plan.members), 'file')} in {counted(len(plan.shards), 'shard')} "
        f"({total / 1e9:.2f} GB; {written} written in {time.monotonic() - began:.1f} s, {there} there already"
        f"{', all verified' if args.verify else ''})"
    )
    if plan.problems:
        path, reason = plan.problems[0]
        print(f"left out: {counted(len(plan.problems), 'file')}; the first is {path}: {reason}; all: problems.csv")
    print("\nTrain from them, for example:")
    note = ""
    if has_lists:
        words = ["DATA.PATH_TO_DATA_DIR", args.out, "DATA.PATH_PREFIX", ""]
        if cfg.TRAIN.DATASET.lower() != "kinetics":
            words += ["TRAIN.DATASET", "kinetics", "TEST.DATASET", "kinetics"]
    else:
        words = ["DATA.PATH_PREFIX", f"{os.path.join(args.out, packing.CATALOG_FILE)}#"]
        if plan.root != (data.PATH_PREFIX or data.PATH_TO_DATA_DIR).rstrip("/"):
            note = f"   (in place of {plan.root}, in whichever key names it)"
    print(f"  {shlex.join(['avslowfast', 'train', args.config, *words])}{note}")
    return 0

"""From a folder of your own videos to a fine-tuned network and pages to play with, in one command.

Examples:
    avslowfast finetune my_videos --weights SLOWFAST_8x8_R50
    avslowfast finetune my_videos --weights SLOWFAST_8x8_R50.pkl --out output/mine SOLVER.MAX_EPOCH 40
    avslowfast finetune my_videos --cfg OwnVideos/AVSLOWFAST_TINY

FOLDER holds one folder per class (or train/ and val/ with the classes in them). In turn: every file is looked at and
the videos are split; settings are chosen from how many there are, each printed with its key; the network is trained and
tested; a report and pages to play with are written. Broken videos, copies, files outside the classes and empty classes
are left out, counted and named. KEY VALUE of the command line win over what is chosen, this wins over --cfg.

WEIGHTS is a file of any supported format, its address, a run's folder, or SLOWFAST_8x8_R50, which is downloaded from
PySlowFast's model zoo. Its visual pathways are taken; audio and classifier are new. Without --weights everything is
learnt from your videos alone. The network is OwnVideos/AVSLOWFAST_8x8_R50 with --weights, OwnVideos/AVSLOWFAST_TINY
without, or that of --cfg. A GPU is used where there is one.

The same command again resumes what was interrupted, and says when nothing is left to do. --fresh begins a new run and
moves the old one away. Exit codes: 0 done; 2 a mistake, or nothing to train on; 75 stopped by a signal while training,
with the state saved; 130 ended at once by a second Ctrl-C.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from typing import Any, TYPE_CHECKING

from ..utils.text import counted
from .lists import add_survey, check_shares, look_through, say_substitutes, write_split
from .parser import CommandParser, count_of, UsageError, written
from .train import checked_configuration, until_stopped

if TYPE_CHECKING:
    from ..config.derived import Cfg
    from ..preparation.folders import VideoFolder
    from ..preparation.recipe import Counts

# {whether there are weights: the network where --cfg names none}.
NETWORKS = {True: "OwnVideos/AVSLOWFAST_8x8_R50", False: "OwnVideos/AVSLOWFAST_TINY"}
# Released visual weights by the name of their configuration (PySlowFast's MODEL_ZOO.md).
RELEASED = {
    "SLOWFAST_8x8_R50": "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/kinetics400/SLOWFAST_8x8_R50.pkl",
}
# Keys that the command sets itself, and what says their values.
_OWN = {
    "DATA.PATH_TO_DATA_DIR": "FOLDER",
    "MODEL.NUM_CLASSES": "the folders in FOLDER",
    "OUTPUT_DIR": "--out",
    "TRAIN.CHECKPOINT_FILE_PATH": "--weights",
}
# With --fresh, what is done with the run that is there.
_OF_EARLIER_RUN = {"TRAIN.AUTO_RESUME": False, "TRAIN.REPLACE": True}
# In OUT: what is done, the lists, the pages.
_PROGRESS, _LISTS, _PAGES = "finetune.json", "lists", "pages"
_STEPS = 5


def add_arguments(parser: CommandParser) -> None:
    """A folder, weights, where everything goes, keys of the configuration."""
    parser.add_argument("folder", metavar="FOLDER", help="folder with one folder of videos per class")
    parser.add_argument("--weights", metavar="WEIGHTS", help="file, address, run or name to start from")
    parser.add_argument("--out", type=written, help="folder to write (default: output/ and the name of FOLDER)")
    parser.add_argument("--cfg", dest="config", metavar="FILE", help="configuration of the network: YAML file or name")
    add_survey(parser, val=0.25, test=0.0)
    parser.add_argument(
        "--pages", type=count_of(0, 1000), default=12, help="pages to play with, at most (default: %(default)s)"
    )
    parser.add_argument("--fresh", action="store_true", help="begin a new run; an old one is moved to OUT/previous")
    parser.add_imports()
    parser.add_overrides()


def run(args: argparse.Namespace) -> int:
    """Look at the videos, choose settings, train and test, report, write pages."""
    check_shares(args)
    for key in args.overrides[::2]:
        if key in _OWN:
            raise UsageError(f"{key}: {_OWN[key]} says it here; leave the key out")
    args.out = args.out or os.path.join("output", os.path.basename(os.path.abspath(args.folder)) or "videos")
    args.config = args.config or NETWORKS[bool(args.weights)]
    _check_out(args.folder, args.out)
    done = _Done.read(args.out)

    _say_step(1, f"the videos of {args.folder}")
    weights = _check_weights(args)
    counts = _videos(args, done)
    _say_step(2, "settings, each with the key that changes it")
    cfg = _configuration(args, counts, weights)
    _say_step(3, "training and test")
    work = 0
    if args.fresh or not done.is_trained(cfg):
        work += 1
        code = _train(cfg)
        if code:
            return code
        done.trained = _digest_of(cfg)
        done.write(args.out)
    else:
        print("done already")
    work += _show(args, cfg)
    _say_end(args.out, counts)
    if not work:
        print("Nothing is left to do; other keys, or --fresh, train anew.")
    return 0


def _say_step(number: int, what: str) -> None:
    print(f"\nstep {number} of {_STEPS}: {what}", flush=True)


# ---- What is done ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Done:
    """What earlier calls have done.

    Attributes:
        videos: Digest of the files that the lists were made of, and of how they were split; "" without lists.
        files: Number of these files.
        counts: Of the videos in the lists.
        trained: Digest of the configuration with which training and test have ended.
    """

    videos: str = ""
    files: int = 0
    counts: dict[str, Any] = dataclasses.field(default_factory=dict)
    trained: str = ""

    @classmethod
    def read(cls, out: str) -> "_Done":
        """That of a folder; nothing where nothing is there, or is not whole."""
        from ..utils.text import read_json

        path = os.path.join(out, _PROGRESS)
        try:
            return cls(**read_json(path)) if os.path.isfile(path) else cls()
        except (TypeError, ValueError):
            return cls()

    def write(self, out: str) -> None:
        """Keep it in a folder."""
        from ..utils.text import write_text

        write_text(os.path.join(out, _PROGRESS), json.dumps(dataclasses.asdict(self), ensure_ascii=False))

    def is_trained(self, cfg: "Cfg") -> bool:
        """Whether training and test have ended with a configuration."""
        return self.trained == _digest_of(cfg) and os.path.isfile(os.path.join(cfg.OUTPUT_DIR, "results.json"))


def _digest_of(cfg: "Cfg") -> str:
    """Digest of a configuration, whatever it says of an earlier run."""
    from ..config.kinds import values_of

    values = {key: value for key, value in values_of(cfg).items() if key not in _OF_EARLIER_RUN}
    return hashlib.sha256(repr(values).encode()).hexdigest()


# ---- The steps -------------------------------------------------------------------------------------------------------


def _check_out(folder: str, out: str) -> None:
    """Refuse a folder to write in whose videos would be taken for results."""
    inside, outside = os.path.realpath(out), os.path.realpath(folder)
    if inside == outside:
        raise UsageError(f"--out {out} is FOLDER itself; give another folder")
    holds_others = os.path.isdir(out) and os.listdir(out) and not os.path.isfile(os.path.join(out, _PROGRESS))
    if holds_others and os.path.commonpath([inside, outside]) == outside:
        raise UsageError(f"--out {out} lies in FOLDER and holds other files; give a new folder")


def _base(args: argparse.Namespace, fixed: Mapping[str, Any]) -> "Cfg":
    """What --cfg, the command line and this command say, before anything is chosen."""
    from ..config import load_cfg

    # A warm-up that is longer than the epochs which a person gives is shortened, not refused.
    return load_cfg(args.config, ["SOLVER.WARMUP_EPOCHS", 0, *args.overrides, *_pairs(fixed)], args.imports)


def _check_weights(args: argparse.Namespace) -> str:
    """Read the weights to start from and the configuration, before minutes are spent; gives the weights' path or ""."""
    from ..checkpoint.record import read_record
    from ..utils.files import check_writable

    _base(args, {})
    check_writable(args.out, "--out")
    if not args.weights:
        return ""
    path = args.weights
    if not os.path.exists(path) and path in RELEASED:
        path = RELEASED[path]
    elif not os.path.exists(path) and not os.path.dirname(path) and not os.path.splitext(path)[1]:
        raise UsageError(f"--weights {path}: no such file or folder, and no name of weights ({', '.join(RELEASED)})")
    record = read_record(args.out)
    if record is None or not record.states or args.fresh:
        from ..engine.weights import read_path

        print(f"weights to start from: {read_path(path)[0]}")
    return str(path)


def _videos(args: argparse.Namespace, done: _Done) -> "Counts":
    """Look at the videos and write their lists, unless that is done; gives their numbers."""
    from ..checkpoint.record import read_record
    from ..preparation import folders
    from ..preparation.recipe import Counts

    content, lists = folders.find_videos(args.folder, out=args.out), os.path.join(args.out, _LISTS)
    _require_classes(content)
    digest = hashlib.sha256(
        repr([[_facts_of(video.path) for video in content.videos], args.val, args.test, args.seed]).encode()
    ).hexdigest()
    there = all(os.path.isfile(os.path.join(lists, f"{split}.csv")) for split in folders.SPLITS)
    if done.videos == digest and there and not args.retry:
        print(f"{counted(done.files, 'file')}, as before: the lists in {lists} are kept")
        return Counts(**done.counts)
    record = read_record(args.out)
    if done.videos and record is not None and record.states and not args.fresh:
        raise UsageError(
            f"{args.folder} has changed since the run in {args.out} was begun ({counted(done.files, 'file')} then, "
            f"{len(content.videos)} now), or is split otherwise; give another --out, or --fresh to train anew with them"
        )
    kind = look_through(content, args, lists)
    if kind == "sound" and content.readable:
        raise UsageError(
            f"{args.folder}: sounds and no video; list them with avslowfast lists and train OwnSounds/AUDIO_TINY"
        )
    sources = write_split(content, args, lists, kind, without_copies=True)
    if sources["val"] != "val":
        say_substitutes({"val": sources["val"]}, kind)
    _require_classes(content)
    _say_lonely(content)
    counts = Counts.of(content)
    done.videos, done.files, done.counts = digest, len(content.videos), dataclasses.asdict(counts)
    done.write(args.out)
    return counts


def _facts_of(path: str) -> tuple[str, int, int]:
    """By what a changed file is known; a link that leads nowhere has no size."""
    try:
        stat = os.stat(path)
    except OSError:
        return path, -1, -1
    return path, stat.st_size, stat.st_mtime_ns


def _require_classes(content: "VideoFolder") -> None:
    """Refuse a folder with a single class."""
    labels = {video.label for video in content.readable}
    if len(labels) != 1:
        return
    name, path = content.class_names[labels.pop()], content.readable[0].path
    below = os.path.basename(os.path.dirname(path))
    hint = f" (below it is {below}: is {name} the folder to give?)" if below != name else ""
    raise UsageError(f"all videos are of one class, {name}{hint}; a network tells classes apart: give two or more")


def _say_lonely(content: "VideoFolder") -> None:
    """Name the classes of which nothing is validated."""
    counts = content.counts()
    lonely = [name for name, of_class in counts.items() if of_class["train"] and not of_class["val"]]
    if lonely and any(of_class["val"] for of_class in counts.values()):
        what = counted(len(lonely), "class has", "classes have")
        print(f"note: {what} no video for validation: {', '.join(lonely)}")


def _configuration(args: argparse.Namespace, counts: "Counts", weights: str) -> "Cfg":
    """The configuration of the run; prints what is chosen and why."""
    import torch

    from ..preparation.recipe import choose

    fixed: dict[str, Any] = {
        "DATA.PATH_TO_DATA_DIR": os.path.abspath(os.path.join(args.out, _LISTS)),
        "MODEL.NUM_CLASSES": len(counts.train),
        "OUTPUT_DIR": args.out,
        "TRAIN.CHECKPOINT_FILE_PATH": weights,
    }
    base = _base(args, fixed)
    given = [key.upper() for key in args.overrides[::2]]
    gpus = min(base.NUM_GPUS if "NUM_GPUS" in given else 1, torch.cuda.device_count())
    choices, notes = choose(base, given, counts, bool(weights), gpus, os.cpu_count() or 1)
    print(f"{args.config}, {len(counts.train)} classes")
    for choice in choices:
        print(f"  {choice.key} {choice.value}: {choice.why}")
    for key, value in zip(args.overrides[::2], args.overrides[1::2]):
        print(f"  {key} {value}: given")
    for note in notes:
        print(f"note: {note}")
    if args.fresh:
        fixed |= _OF_EARLIER_RUN
    chosen = _pairs({choice.key: choice.value for choice in choices})
    words = argparse.Namespace(**{**vars(args), "overrides": [*chosen, *args.overrides]})
    return checked_configuration(words, _pairs(fixed))


def _pairs(values: Mapping[str, Any]) -> list[Any]:
    return [word for pair in values.items() for word in pair]


def _train(cfg: "Cfg") -> int:
    """Train and test; gives the exit code."""
    from ..engine.launch import launch
    from ..engine.run import run as train_and_test

    return until_stopped(lambda stop: launch(cfg, train_and_test, stop))


def _show(args: argparse.Namespace, cfg: "Cfg") -> int:
    """Write the report and the pages as far as they are missing or older than the results; gives how many."""
    from ..inference.load import load_model
    from ..utils.logging import setup_logging
    from ..visualization.gallery import INDEX, is_current, missing_pages, write_gallery
    from ..visualization.report import make_report
    from ..visualization.report.run import read_run

    # What follows is not part of the run's log.
    setup_logging()
    report, pages = os.path.join(args.out, "report.html"), os.path.join(args.out, _PAGES)
    work = 0
    _say_step(4, "report")
    if is_current(report, args.out):
        print("done already")
    else:
        make_report(args.out)
        work += 1
    _say_step(5, "pages to play with")
    run = read_run(args.out)
    missing = missing_pages(run, pages, args.pages)
    if missing or not is_current(os.path.join(pages, INDEX), args.out):
        device = None if cfg.NUM_GPUS else "cpu"
        write_gallery(load_model(args.out, device=device)[0], run, pages, args.pages)
        work += 1
    else:
        print("done already")
    return work


def _say_end(out: str, counts: "Counts") -> None:
    """Accuracy, paths, and what to do with the network."""
    from ..checkpoint.record import resolve
    from ..utils.text import read_json

    results = read_json(os.path.join(out, "results.json"))
    tested = counts.test if counts.has_test else counts.val if any(counts.val.values()) else counts.train
    split = "test" if counts.has_test else "validation" if any(counts.val.values()) else "training"
    most = 100 * max(tested.values()) / sum(tested.values())
    print(
        f"\ntop-1 {results['top1']:.1f} % of {counted(sum(tested.values()), f'{split} video')} "
        f"(chance {100 / len(counts.train):.1f} %; always the most frequent class {most:.1f} %)"
    )
    print(f"pages:   {os.path.join(out, _PAGES, 'index.html')}")
    print(f"report:  {os.path.join(out, 'report.html')}")
    print(f"weights: {resolve(out)}")
    print(f"predict: avslowfast predict --weights {shlex.quote(out)} NEW_VIDEO.mp4")

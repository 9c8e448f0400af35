"""Make list files from a folder of videos, or of sounds, by class.

Example:
    avslowfast lists my_videos --out my_lists

The folder holds one folder per class: my_videos/CLASS/*.mp4 (or my_videos/{train,val,test}/CLASS/*.mp4, whose splits
are kept), with any ending that FFmpeg knows. Without any video sounds are listed (wav, flac, mp3 ...); with --sounds
both are, for networks that only listen. Of every file the first frame, one near the end and some audio are read (with
--full all of it). Writes train.csv, val.csv, test.csv and classes.txt; files that cannot be read or are cut off are
left out and named in unreadable.csv. One that crashes the decoder is tried twice, one that takes longer than --timeout
once; the next run tries these again only when they have changed since, with more time, or with --retry. Exit codes:
0 done; 2 a mistake, or nothing to train on.
"""

import argparse
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..utils.text import counted, on_one_line
from .parser import CommandParser, count_of, number_of, seconds, training_command, UsageError, written

if TYPE_CHECKING:
    from ..preparation.folders import Lengths, VideoFolder


# Files that are named, at most; unreadable.csv has them all.
_NAMED = 20


def add_arguments(parser: CommandParser) -> None:
    """A folder, where the lists go, how the videos are split."""
    parser.add_argument("folder", help="folder with one folder per class")
    parser.add_argument("--out", type=written, required=True, help="folder for the lists")
    parser.add_argument("--sounds", action="store_true", help="list the sound of videos and of sound files alike")
    add_survey(parser, val=0.1, test=0.2)


def add_survey(parser: CommandParser, val: float, test: float) -> None:
    """Take how the files of a folder are split and looked at.

    Args:
        parser: Gets the arguments.
        val: Share of each class for validation by default.
        test: The same for the test.
    """
    parser.add_argument(
        "--val", type=number_of(0, 1), default=val, help="share of each class for validation (default: %(default)s)"
    )
    parser.add_argument(
        "--test", type=number_of(0, 1), default=test, help="share of each class for the test (default: %(default)s)"
    )
    parser.add_argument("--seed", type=count_of(0, 2**31), default=0, help="seed of the split (default: %(default)s)")
    parser.add_argument(
        "--jobs",
        type=count_of(1, 1024),
        default=os.cpu_count(),
        help="processes that open files (default: one per core)",
    )
    parser.add_argument("--full", action="store_true", help="read every frame and all audio of each file")
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="time for one file; one that takes longer is left out and named (default: 60, or 3600 with --full)",
    )
    parser.add_argument(
        "--retry", action="store_true", help="try files again that crashed the decoder or took too long"
    )


def run(args: argparse.Namespace) -> int:
    """Look at the files, split them, write the lists, say what there is."""
    check_shares(args)
    from ..preparation import folders
    from ..utils.files import check_writable

    check_writable(args.out, "--out")
    content = folders.find_videos(args.folder, args.sounds)
    kind = look_through(content, args, args.out, args.sounds)
    copies = folders.find_copies(content.videos)
    if copies:
        several, (first, second) = sum(map(len, copies)) - len(copies), (on_one_line(v.path) for v in copies[0][:2])
        print(f"note: {counted(several, 'file')} that others are copies of, the first {second} of {first}")
    say_substitutes(write_split(content, args, args.out, kind), kind)
    if len(content.class_names) == 1:
        print(f"\nLists are in {args.out}. Of one class nothing can be learnt: a network needs two or more.")
        return 0
    config = "OwnVideos/AVSLOWFAST_TINY" if kind == "video" else "OwnSounds/AUDIO_TINY"
    # A folder of its own: another set of videos is another run.
    output = os.path.join("output", os.path.basename(os.path.abspath(args.out)))
    words = ["DATA.PATH_TO_DATA_DIR", args.out, "MODEL.NUM_CLASSES", str(len(content.class_names))]
    if not any(video.has_audio for video in content.readable):
        words += ["MODEL.ARCH", "slowfast"]
    print(
        f"\nLists are in {args.out}. Next, for example:\n  "
        f"{training_command(args, config, [*words, 'OUTPUT_DIR', output])}"
    )
    return 0


def check_shares(args: argparse.Namespace) -> None:
    """Refuse shares of the splits that leave nothing to train on."""
    if not (args.val >= 0 and args.test >= 0 and args.val + args.test < 1):
        raise UsageError(
            f"--val {args.val} and --test {args.test} leave nothing to train on; use shares such as 0.1 and 0.2"
        )


def look_through(content: "VideoFolder", args: argparse.Namespace, out: str, sounds: bool = False) -> str:
    """Open every file of a folder and fill in what it is.

    Args:
        content: From `find_videos`; its videos are changed in place.
        args: Of this command, see `add_survey`.
        out: Folder of the lists, which knows the files that crashed the decoder.
        sounds: Read the sound of videos alone.

    Returns:
        What the readable files are: "video" or "sound".
    """
    from ..preparation import folders

    table = "" if args.retry else os.path.join(out, "unreadable.csv")
    lost = folders.probe(content.videos, args.jobs, args.full, args.timeout, sounds, table)
    if lost:
        print(f"{counted(lost, 'file')} crashed the decoder or took too long in an earlier run; --retry tries again")
    return folders.keep_one_kind(content.videos)


def write_split(
    content: "VideoFolder", args: argparse.Namespace, out: str, kind: str, without_copies: bool = False
) -> dict[str, str]:
    """Split the readable files, write the lists, and say what there is and what is left out.

    Args:
        content: Looked through; classes without a readable file are removed.
        args: Of this command, see `add_survey`.
        out: Folder of the lists.
        kind: What the files are, "video" or "sound".
        without_copies: Leave out files that others are copies of.

    Returns:
        {split: split whose files its list holds}.
    """
    from ..preparation import folders

    _print_lengths(content, kind, folders.lengths(content.videos))
    if without_copies:
        folders.leave_out_copies(content.videos)
    _print_left_out(content, kind, out)
    empty = content.drop_empty_classes()
    folders.split_videos(content.videos, args.val, args.test, args.seed)
    sources = folders.write_lists(out, content)
    if empty:
        what = counted(len(empty), "class", "classes")
        print(f"left out: {what} without a readable {kind}: {', '.join(empty[:_NAMED])}")
    print(_table(content.counts()))
    return sources


def say_substitutes(sources: Mapping[str, str], kind: str) -> None:
    """Say which lists hold the files of another split.

    Args:
        sources: From `write_split`.
        kind: What the files are, "video" or "sound".
    """
    for split, other in sources.items():
        if split != other:
            print(
                f"note: no {kind}s for {split}; {split}.csv holds those of {other}, "
                f"so its figures say nothing about new {kind}s"
            )


def _print_lengths(content: "VideoFolder", kind: str, lengths: "Lengths | None") -> None:
    """How many files, lengths, audio."""
    print(f"{counted(len(content.videos), kind)}, {len(content.readable)} of them readable")
    if lengths is not None:
        without_audio = f"; {lengths.without_audio} without audio" if kind == "video" else ""
        print(f"length {lengths.shortest:.1f} to {lengths.longest:.1f} s, median {lengths.median:.1f} s{without_audio}")


def _print_left_out(content: "VideoFolder", kind: str, out: str) -> None:
    """What is left out, and why; all of it stands in a file in `out`."""
    from ..media.files import is_sound

    for video in content.unreadable[:_NAMED]:
        print(f"left out: {on_one_line(video.path)}: {video.reason}")
    if len(content.unreadable) > _NAMED:
        print(f"left out: {len(content.unreadable) - _NAMED} more; all of them: {os.path.join(out, 'unreadable.csv')}")
    if content.loose:
        loose = f"{counted(len(content.loose), kind)} outside the folders of the classes"
        print(f"left out: {loose}, the first {on_one_line(content.loose[0])}")
    for note in content.passed_over[:_NAMED]:
        print(f"passed over: {on_one_line(note.path)}: {note.reason}")
    sounds = [path for path in content.other_files if is_sound(path)]
    others = [path for path in content.other_files if not is_sound(path)]
    if sounds:
        first = on_one_line(sounds[0])
        print(f"left out: {counted(len(sounds), 'sound')} beside videos (--sounds takes both), the first {first}")
    if others:
        what = counted(len(others), "file that is no video or sound", "files that are no videos or sounds")
        print(f"left out: {what} by name, the first {on_one_line(others[0])}")


def _table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Files of each class in each split, as lines."""
    width = max(map(len, [*counts, "class"]))
    splits = next(iter(counts.values()))
    lines = [f"{'class':<{width}}" + "".join(f"{split:>7}" for split in splits)]
    for name, of_class in counts.items():
        note = "" if of_class["train"] else "   nothing to train on"
        lines.append(f"{name:<{width}}" + "".join(f"{count:>7}" for count in of_class.values()) + note)
    return "\n".join(lines)

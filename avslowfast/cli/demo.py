"""Say what happens in videos over time and show it: annotated copies with audio, timelines, predictions as files.

Examples:
    avslowfast demo --weights output/synthav_avslowfast --input data/synthav/test/000000.mp4 --output demo/annotated.mp4
    avslowfast demo --weights output/own_videos --input my_videos --output demo --topk 3
    avslowfast demo --weights output/synthav_ava --input movie.mp4 --boxes boxes.csv --output demo/movie.mp4

INPUT is a file, a member of a tar file (videos.tar#a.mp4), a URL (https://, s3:// ...), a folder of videos, or "webcam"
(the first camera, for --seconds seconds). Without --output nothing is drawn. With a file as output predictions.json and
predictions.csv are written next to it; with a folder every video gets a folder in it. --html writes a page that plays
the video with its sound beside the scores, shows what the network makes of it without hearing or without seeing, and
where the evidence lies; it needs no network and no server. Of a sound file, for a network without frames, the
spectrogram and the timeline are drawn (.png). A detection model takes the boxes of a CSV: seconds,x1,y1,x2,y2, shares
of the frame. Exit codes: 0 done; 2 a mistake, or a file that cannot be read (the others are done all the same).
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..utils.errors import MISTAKE
from .parser import CommandParser, count_of, load_model, seconds, UsageError, written

if TYPE_CHECKING:
    from ..models.network import Network


def add_arguments(parser: CommandParser) -> None:
    """A network, an input, what to draw."""
    parser.add_weights()
    parser.add_argument(
        "--input",
        required=True,
        help="video file (sound file for a network without frames), URL, folder of them, or webcam",
    )
    parser.add_argument("--output", type=written, help="annotated video to write (.mp4), or a folder")
    parser.add_argument(
        "--html",
        type=written,
        metavar="PAGE",
        help="page to play with, which needs nothing else (.html), or a folder of them",
    )
    parser.add_argument("--topk", type=count_of(1, 1000), default=5, help="classes to show (default: %(default)s)")
    parser.add_argument(
        "--step", type=seconds, metavar="SECONDS", help="from one window to the next (default: half a window)"
    )
    parser.add_argument(
        "--short-side",
        type=count_of(16, 4320),
        default=360,
        metavar="PIXELS",
        help="short side of the annotated video, at most (default: %(default)s)",
    )
    parser.add_argument("--boxes", metavar="CSV", help="boxes for a detection model: seconds,x1,y1,x2,y2")
    parser.add_argument("--seconds", type=seconds, default=10.0, help="of the webcam (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Go through the inputs."""
    from ..inference.scoring import NotFiniteError
    from ..media import DecodeError

    failed = 0
    model, meta = load_model(args)
    with tempfile.TemporaryDirectory() as scratch:
        for source, out, page in _inputs(args, scratch, meta.only_listens):
            try:
                _show(model, source, out, page, args)
            except (DecodeError, NotFiniteError) as error:
                print(f"error: {error}", file=sys.stderr)
                failed += 1
    return MISTAKE if failed else 0


def _inputs(args: argparse.Namespace, scratch: str, sounds: bool) -> Iterator[tuple[str, str | None, str | None]]:
    """(file, annotated video or None, page or None) of each input; sound files are taken where they will do."""
    from ..media.files import is_sound, is_video, result_names
    from ..media.sources import record_camera
    from ..media.storage import is_folder, list_folder

    if args.input == "webcam":
        source = os.path.join(scratch, "webcam.mkv")
        record_camera(source, args.seconds)
        yield source, *_outputs_of(args, source)
    elif is_folder(args.input):
        names = sorted(name for name in list_folder(args.input) if is_video(name) or (sounds and is_sound(name)))
        if not names:
            raise UsageError(f"{args.input}: no videos{' or sounds' if sounds else ''} in this folder")
        for path, ending in ((args.output, ".mp4"), (args.html, ".html")):
            if path and path.endswith(ending):
                raise UsageError(f"{path}: {args.input} is a folder of {len(names)} files; name a folder as output")
        for name, result in zip(names, result_names(names)):
            out = os.path.join(args.output, result, "annotated.mp4") if args.output else None
            page = os.path.join(args.html, f"{result}.html") if args.html else None
            yield os.path.join(args.input, name), out, page
    else:
        yield args.input, *_outputs_of(args, args.input)


def _outputs_of(args: argparse.Namespace, source: str) -> tuple[str | None, str | None]:
    """(annotated video or None, page or None) of a single source."""
    from ..media.files import file_name

    out, page = args.output, args.html
    if out and not out.endswith(".mp4"):
        out = os.path.join(out, "annotated.mp4")
    if page and not page.endswith(".html"):
        page = os.path.join(page, f"{os.path.splitext(file_name(source))[0]}.html")
    return out, page


def _show(model: "Network", source: str, out: str | None, page: str | None, args: argparse.Namespace) -> None:
    """Predict, print, and write what was asked for."""
    from ..config import derived
    from ..inference.boxes import classify_boxes, read_boxes
    from ..inference.load import meta_of
    from ..inference.moments import moments
    from ..inference.sliding_window import slide
    from ..media import transcode
    from ..utils.text import write_csv
    from ..visualization.boxes import BoxPainter
    from ..visualization.demo import DemoPainter, write_predictions
    from ..visualization.media import has_frames
    from ..visualization.player import write_player

    meta = meta_of(model)
    print(source)
    folder = os.path.dirname(os.path.abspath(out)) if out else None
    classifies_boxes = derived.task_facts(meta.cfg).boxes
    if classifies_boxes or args.boxes:
        if not (classifies_boxes and args.boxes):
            raise UsageError(f"{source}: --boxes goes with a detection model, and a detection model needs --boxes")
        if page:
            raise UsageError(f"{page}: pages show what is classified over time, not boxes; leave --html out")
        frames = classify_boxes(model, source, read_boxes(args.boxes))
        rows = [
            [frame.seconds, *(f"{v:.4f}" for v in box), meta.class_name(int(i)), f"{scores[i]:.4f}"]
            for frame in frames
            for box, scores in zip(frame.boxes, frame.scores)
            for i in (-scores).argsort()[: args.topk]
        ]
        for row in rows:
            print(f"  {row[0]:7.2f} s  {100 * float(str(row[-1])):3.0f} %  {row[-2]}")
        if folder:
            os.makedirs(folder, exist_ok=True)
            header = ["seconds", "x1", "y1", "x2", "y2", "class", "score"]
            write_csv(os.path.join(folder, "predictions.csv"), [header, *rows])
        painter: BoxPainter | DemoPainter | None = BoxPainter(frames, meta, args.topk)
    else:
        found = moments(model, source, args.step) if page else []
        windows = [moment.window for moment in found] or slide(model, source, args.step)
        lines = write_predictions(windows, meta, source, folder, args.topk)
        print("\n".join(f"  {line}" for line in lines))
        painter = DemoPainter(windows, meta, source, args.topk) if out else None
        if page:
            written_page = write_player(model, source, page, topk=args.topk, short_side=args.short_side, found=found)
            print(f"  wrote {page}: {written_page.size / 1e6:.1f} MB, opens in a browser")
    if out and isinstance(painter, DemoPainter) and not has_frames(source):
        picture = f"{os.path.splitext(out)[0]}.png"
        painter.write_picture(picture)
        print(f"  wrote {picture}: it has no frames to annotate")
    elif out:
        written = transcode(source, out, args.short_side, crf=20, painter=painter)
        print(f"  wrote {out}: {written.seconds:.1f} s, {'with' if written.has_audio else 'no'} audio")

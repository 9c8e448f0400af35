#!/usr/bin/env python3
"""Say what happens in videos, moment by moment, and show it: an annotated copy with its sound, a timeline, predictions as JSON and CSV.

Examples:
    python tools/demo_net.py --weights output/synthav_avslowfast --input data/synthav/test/000000.mp4 --output demo/annotated.mp4
    python tools/demo_net.py --weights output/own_videos --input my_videos --output demo --topk 3
    python tools/demo_net.py --weights output/synthav_ava --input movie.mp4 --boxes boxes.csv --output demo/movie.mp4

INPUT is a file, an http(s) URL of one, a folder of videos, or "webcam" (the first camera, for --seconds seconds). Without --output nothing is
drawn. With a file as output predictions.json and predictions.csv lie beside it; with a folder every video gets a folder of its own. A
detection model takes the boxes of a CSV: seconds,x1,y1,x2,y2, shares of the picture. Exit codes: 0 done; 2 a mistake, or a file that cannot
be read (the others are done all the same).
"""

import argparse
import csv
import os
import shutil
import sys
import tempfile
import urllib.parse
import urllib.request

import av

import avslowfast
from avslowfast.inference.sliding_window import slide
from avslowfast.media import DecodeError, transcode
from avslowfast.media.streams import reason_of
from avslowfast.preparation.folders import VIDEO_ENDINGS
from avslowfast.utils.errors import UserError
from avslowfast.visualization.boxes import BoxPainter, classify_boxes, read_boxes
from avslowfast.visualization.demo import DemoPainter, write_predictions


def main(argv=None):
    """Go through the inputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="OUTPUT_DIR of a run, or a checkpoint")
    parser.add_argument("--model", help="configuration of a checkpoint that holds none, e.g. SLOWFAST_8x8_R50")
    parser.add_argument("--input", required=True, help="video file, URL, folder of videos, or webcam")
    parser.add_argument("--output", help="annotated video to write (.mp4), or a folder")
    parser.add_argument("--topk", type=int, default=5, help="classes to show (default: %(default)s)")
    parser.add_argument(
        "--step", type=float, metavar="SECONDS", help="from one window to the next (default: half a window)"
    )
    parser.add_argument(
        "--short-side",
        type=int,
        default=360,
        metavar="PIXELS",
        help="short side of the annotated video, at most (default: %(default)s)",
    )
    parser.add_argument("--boxes", metavar="CSV", help="boxes for a detection model: seconds,x1,y1,x2,y2")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the webcam (default: %(default)s)")
    args = parser.parse_args(argv)
    failed = 0
    try:
        model, _ = (
            avslowfast.load_model(args.model, args.weights) if args.model else avslowfast.load_model(args.weights)
        )
        with tempfile.TemporaryDirectory() as scratch:
            for source, out in inputs(args, scratch):
                try:
                    demo(model, source, out, args)
                except DecodeError as error:
                    print(f"error: {error}", file=sys.stderr)
                    failed += 1
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 2 if failed else 0


def inputs(args, scratch):
    """(file, annotated video to write or None) of each input."""
    if args.input == "webcam":
        source = os.path.join(scratch, "webcam.mkv")
        record_camera(source, args.seconds)
        yield source, output_of(args.output, source, False)
    elif args.input.startswith(("http://", "https://")):
        source = download(args.input, scratch)
        yield source, output_of(args.output, source, False)
    elif os.path.isdir(args.input):
        names = sorted(name for name in os.listdir(args.input) if name.lower().endswith(VIDEO_ENDINGS))
        if not names:
            raise DecodeError(f"{args.input}: no videos in this folder")
        if args.output and args.output.endswith(".mp4"):
            raise DecodeError(
                f"{args.output}: {args.input} is a folder of {len(names)} videos; name a folder as output"
            )
        for name in names:
            yield os.path.join(args.input, name), output_of(args.output, name, True)
    else:
        yield args.input, output_of(args.output, args.input, False)


def output_of(output, source, many):
    """The annotated video for a source; None without output."""
    if not output:
        return None
    if output.endswith(".mp4") and not many:
        return output
    return (
        os.path.join(output, os.path.splitext(os.path.basename(source))[0], "annotated.mp4")
        if many
        else os.path.join(output, "annotated.mp4")
    )


def download(url, folder):
    """Fetch a file, since windows are read here and there and not every server can be read so."""
    path = os.path.join(folder, os.path.basename(urllib.parse.urlparse(url).path) or "video")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, open(path, "wb") as f:
            shutil.copyfileobj(answer, f)
    except (OSError, ValueError) as error:
        raise DecodeError(f"{url}: cannot be fetched ({reason_of(error)})") from None
    return path


def record_camera(path, seconds):
    """Record the first camera into a file."""
    formats = {"linux": ("v4l2", "/dev/video0"), "darwin": ("avfoundation", "0"), "win32": ("dshow", "video=0")}
    kind, device = formats.get(sys.platform, formats["linux"])
    try:
        with av.open(device, format=kind) as camera, av.open(path, "w") as out:
            stream = out.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = (
                camera.streams.video[0].width,
                camera.streams.video[0].height,
                "yuv420p",
            )
            first = None
            for frame in camera.decode(video=0):
                first = frame.time if first is None else first
                if frame.time - first >= seconds:
                    break
                frame.pts = None
                for packet in stream.encode(frame):
                    out.mux(packet)
            for packet in stream.encode(None):
                out.mux(packet)
    except (av.error.FFmpegError, OSError) as error:
        raise DecodeError(f"{device}: no camera could be opened ({reason_of(error)})") from None


def demo(model, source, out, args):
    """Predict, print, and write what was asked for."""
    meta = model.meta
    print(source)
    if meta.cfg.DETECTION.ENABLE or args.boxes:
        if not (meta.cfg.DETECTION.ENABLE and args.boxes):
            raise DecodeError(f"{source}: --boxes goes with a detection model, and a detection model needs --boxes")
        frames = classify_boxes(model, source, read_boxes(args.boxes))
        rows = [
            [frame.seconds, *(f"{v:.4f}" for v in box), meta.class_name(int(i)), f"{scores[i]:.4f}"]
            for frame in frames
            for box, scores in zip(frame.boxes, frame.scores)
            for i in (-scores).argsort()[: args.topk]
        ]
        for row in rows:
            print(f"  {row[0]:7.2f} s  {100 * float(row[-1]):3.0f} %  {row[-2]}")
        painter = BoxPainter(frames, meta, args.topk)
        if out:
            os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
            with open(
                os.path.join(os.path.dirname(os.path.abspath(out)), "predictions.csv"),
                "w",
                newline="",
                encoding="utf-8",
            ) as f:
                csv.writer(f).writerows([["seconds", "x1", "y1", "x2", "y2", "class", "score"], *rows])
    else:
        windows = slide(model, source, args.step)
        folder = os.path.dirname(os.path.abspath(out)) if out else None
        lines = write_predictions(windows, meta, source, folder, args.topk)
        print("\n".join(f"  {line}" for line in lines))
        painter = DemoPainter(windows, meta, source, args.topk) if out else None
    if out:
        written = transcode(source, out, args.short_side, crf=20, painter=painter)
        print(f"  wrote {out}: {written.seconds:.1f} s, {'with' if written.has_audio else 'no'} sound")


if __name__ == "__main__":
    sys.exit(main())

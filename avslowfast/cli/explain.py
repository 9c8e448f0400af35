"""Show what a network looks at and listens to for a class, and what each modality contributes.

Examples:
    avslowfast explain --weights output/synthav_avslowfast data/synthav/test/000000.mp4
    avslowfast explain --weights output/own_videos --class clapping --out explanations my_videos/clapping
    avslowfast explain --weights output/own_videos --video my_videos/clapping/a.mp4

For the middle clip of each file: Grad-CAM over the source's frames and the log-mel, and the class's score with both
modalities, with the audio masked and with blank frames, as an image and as JSON. --video writes the same over the
whole length of the file as an mp4 with its sound. Without --class it is the best one of the middle clip. Exit codes: 0
done; 2 a mistake, or a file that cannot be read.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..utils.errors import MISTAKE
from ..utils.text import write_text
from .parser import CommandParser, load_model, written

if TYPE_CHECKING:
    from torch import Tensor

    from ..inference.explain import Explanation
    from ..inference.load import ModelMeta
    from ..models.network import Network

# Files whose clips are in memory, with their gradients, at a time.
_BATCH = 4


def add_arguments(parser: CommandParser) -> None:
    """A network, videos, the class."""
    parser.add_weights()
    parser.add_argument("--class", dest="name", help="name or number of the class (default: the best one)")
    parser.add_argument("--stage", help="stage to look at, e.g. res4 (default: the deepest with seven cells a side)")
    parser.add_argument(
        "--video", action="store_true", help="also write a video with sound of the evidence over the whole file"
    )
    parser.add_argument(
        "--out", type=written, default="explanations", help="folder for the images (default: %(default)s)"
    )
    parser.add_argument(
        "videos", nargs="+", help="video files (sound files for a network without frames), or folders of them"
    )


def run(args: argparse.Namespace) -> int:
    """Explain each file; print, draw."""
    from ..inference.sliding_window import class_index
    from ..media.files import list_videos, result_names
    from ..visualization.explanation import draw_explanation

    model, meta = load_model(args)
    class_id = None if args.name is None else class_index(meta, args.name)
    videos = list_videos(args.videos, meta.only_listens)
    names, read = dict(zip(videos, result_names(videos))), 0
    clips = _middle_clips(meta, videos)
    while batch := dict(itertools.islice(clips, _BATCH)):
        for video, explanation in _explained(model, batch, class_id, args.stage):
            read += 1
            base = os.path.join(args.out, names[video])
            os.makedirs(os.path.dirname(base), exist_ok=True)
            shown = None if explanation.frames is None else video
            draw_explanation(explanation, meta, f"{base}.png", os.path.basename(video), video=shown)
            name = meta.class_name(explanation.class_id)
            numbers = {
                "video": video,
                "class": name,
                "score": explanation.score,
                "start": explanation.start,
                **explanation.contributions,
            }
            write_text(f"{base}.json", json.dumps(numbers, indent=1))
            shares = explanation.contributions or {"score": explanation.score}
            words = ", ".join(f"{case} {100 * score:.1f} %" for case, score in shares.items())
            print(f"{video}: {name}: {words}  ({base}.png)")
            if args.video:
                _write_video(model, video, f"{base}.mp4", explanation.class_id, args.stage)
    return MISTAKE if read < len(videos) else 0


def _explained(
    model: "Network", clips: "Mapping[str, dict[str, Tensor]]", class_id: int | None, stage: str | None
) -> "list[tuple[str, Explanation]]":
    """(file, the explanation of its clip), in one batch; files whose scores are not finite are told and left out."""
    import torch

    from ..inference.explain import explain_clips
    from ..inference.scoring import NotFiniteError

    together = {name: torch.cat([clip[name] for clip in clips.values()]) for name in next(iter(clips.values()))}
    try:
        return list(zip(clips, explain_clips(model, together, class_id, stage, source=", ".join(clips))))
    except NotFiniteError as error:
        if len(clips) > 1:
            # Which of them it is shows one by one.
            return [pair for video, clip in clips.items() for pair in _explained(model, {video: clip}, class_id, stage)]
        print(f"error: {error}", file=sys.stderr)
        return []


def _write_video(model: "Network", video: str, out: str, class_id: int, stage: str | None) -> None:
    """Write the evidence over a whole file; of a sound alone there is none."""
    from ..inference.load import meta_of
    from ..inference.moments import moments
    from ..visualization.explanation_video import write_explanation_video
    from ..visualization.media import has_frames

    if not has_frames(video):
        print(f"  no video is written: {video} has no frames")
        return
    found = moments(model, video, class_id=class_id, stage=stage)
    done = write_explanation_video(found, meta_of(model), class_id, video, out)
    print(f"  wrote {out}: {done.seconds:.1f} s, {'with' if done.has_audio else 'no'} audio")


def _middle_clips(meta: "ModelMeta", videos: Sequence[str]) -> "Iterator[tuple[str, dict[str, Tensor]]]":
    """(file, the clip in its middle); files that cannot be read are told and left out."""
    from ..media import DecodeError

    for video in videos:
        try:
            yield video, meta.preprocess(video, views=1, crops=1)
        except DecodeError as error:
            print(f"error: {error}", file=sys.stderr)

"""SynthAV's variants that are made of single clips, with lists in Kinetics' format, so that its reader reads them."""

import os
from collections.abc import Sequence

from ..utils.files import replacing
from .render import class_names, render_clip
from .scenes import Job, LabelledVideo, Labels, Layout, write_once


class Clips(Layout[int]):
    """Clips of one class each.

    Args:
        variant: pairs | hard | bounces.
    """

    def __init__(self, variant: str) -> None:
        self.variant = variant

    def path(self, job: Job) -> str:
        """See `Layout.path`."""
        return f"{job.split}/{job.number:06d}.mp4"

    def render(self, seed: int, job: Job) -> LabelledVideo[int]:
        """See `Layout.render`."""
        clip = render_clip(self.variant, seed, job.split, job.number)
        return LabelledVideo(clip.frames, clip.audio, [clip.label])

    def write(self, folder: str, seed: int, job: Job) -> tuple[bool, Labels[int]]:
        """See `Layout.write`; a clip that exists is not rendered for its label."""
        path, labels = os.path.join(folder, self.path(job)), Labels(job, [job.number % len(class_names(self.variant))])
        if os.path.exists(path):
            return False, labels
        video = self.render(seed, job)
        return write_once(path, video.frames, video.audio), labels

    def write_labels(self, folder: str, seed: int, videos: Sequence[Labels[int]]) -> int:
        """Write a list for each split, and the names of the classes; see `Layout.write_labels`."""
        lists: dict[str, list[str]] = {}
        for video in videos:
            lists.setdefault(video.job.split, []).append(f"{self.path(video.job)} {video.labels[0]}\n")
        for split, lines in lists.items():
            _write_lines(os.path.join(folder, f"{split}.csv"), lines)
        _write_lines(os.path.join(folder, "classes.txt"), [f"{name}\n" for name in class_names(self.variant)])
        return len(videos)


def _write_lines(path: str, lines: Sequence[str]) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as part, open(part, "w", encoding="utf-8") as f:
        f.writelines(lines)

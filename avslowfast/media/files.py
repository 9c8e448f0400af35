"""Which files of a folder are videos, by their names."""

import os
from collections.abc import Iterator, Sequence

from ..utils.errors import UserError
from ..utils.files import is_temporary
from .streams import path_text

VIDEO_ENDINGS = (
    ".mp4",
    ".m4v",
    ".mkv",
    ".webm",
    ".mov",
    ".avi",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".ts",
    ".3gp",
    ".ogv",
)


class NoVideosError(UserError, ValueError):
    """Files and folders without a single video."""


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a video by the ending of its name; what a killed process has half written is none."""
    return os.path.splitext(os.fspath(path).lower())[1] in VIDEO_ENDINGS and not is_temporary(path)


def walk_files(folder: str | os.PathLike[str]) -> Iterator[str]:
    """All files below a folder in a fixed order, without hidden ones; links to folders are followed.

    Args:
        folder: The folder.
    """
    for base, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        yield from (os.path.join(base, name) for name in sorted(files) if not name.startswith("."))


def list_videos(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """The video files among files and folders.

    Args:
        paths: A folder gives the videos below it, in a fixed order; a file is taken whatever its name.

    Raises:
        NoVideosError: There are none at all.
    """
    videos: list[str] = []
    for path in map(path_text, paths):
        videos += [file for file in walk_files(path) if is_video(file)] if os.path.isdir(path) else [path]
    if not videos:
        raise NoVideosError(f"no videos in {', '.join(map(str, paths))}")
    return videos

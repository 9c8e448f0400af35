"""Which files of a folder are videos or sounds, by the endings of their names."""

import functools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import av

from ..utils.errors import UserError
from ..utils.files import is_temporary
from .storage import files_below, is_folder, local_path, member_of
from .streams import path_text

# FFmpeg says which endings belong to its formats, but not what they hold. Sounds:
_SOUNDS = (
    "aa aa3 aac aax ac3 ac4 acm adp ads adts adx aea afc aif aifc aiff aix al amr apc ape apl apm aptx aptxhd ast au "
    "aud avr bcstm bfstm binka bit bonk brstm c2 caf daud dfpwm dsf dss dtk dts dtshd eac3 ec3 fap flac fsb fwse g722 "
    "g723_1 g728 g729 genh gsm hca iamf ircam isma laf latm lbc lc3 loas m2a m4a m4b m4r mac mca mka mlp mmf mp1 mp2 "
    "mp3 mpa mpc msbc msf mtaf musx nist nsp oga ogg oma omg opus osq paf pcm pvf qoa ra rco rka rsd rso sb sbc sdns "
    "sds sf shn sln sox spdif sph spx ss2 svag sw tak tco thd tta tun ub ul uw vag voc vpk vqe vqf vql w64 wa wav way "
    "wma wsd wv xmd xvag 302 722"
)
# Text, subtitles, playlists and pictures, which lie beside videos.
_OTHERS = (
    "ans aqt art asc ass cdata cgi dat diz ffmeta ice idf idx js jss lrc m3u8 mcc mks mpd mpl2 nfo pjs rt sami sbg scc "
    "smi srt ssa stl str sub sup ttml txt v vb vt vtt webvtt xml "
    "avif bmp dpx exr fits hdr heic heif ico im1 im24 im8 j2c j2k jls jp2 jpeg jpg jxl jxs ljpg mpo pam pbm pcx pfm "
    "pgm pgmyuv phm pix png ppm qoi ras rs sgi sun sunras tga tif tiff vbn wbmp webp xbm xface xwd y"
)
# Other endings that videos of FFmpeg's formats have, and that of a container of both kinds.
_FURTHER_VIDEOS = "divx dvr-ms m2p mod mpe mpv ogg ogm qt rmvb tod tp trp vro xvid"


class NoVideosError(UserError, ValueError):
    """Files and folders without a single video, or sound."""


@functools.cache
def _endings() -> tuple[frozenset[str], frozenset[str]]:
    """Endings (of videos, of sounds) that the FFmpeg in use knows, in lower case and without the dot."""
    sounds, known = frozenset(_SOUNDS.split()), set[str]()
    for name in av.formats_available:
        for mode in ("r", "w"):
            # A format that can only be written or only be read.
            try:
                known |= {ending.strip().lower() for ending in av.ContainerFormat(name, mode).extensions}
            except ValueError:
                continue
    return frozenset(known - sounds - {*_OTHERS.split()} | {*_FURTHER_VIDEOS.split()}), sounds


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a video by the ending of its name; what a killed process has half written is none."""
    return _ending(path) in _endings()[0] and not is_temporary(path)


def is_sound(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a sound by the ending of its name, as `is_video`; .ogg may be either."""
    return _ending(path) in _endings()[1] and not is_temporary(path)


def _ending(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(os.fspath(path).lower())[1][1:]


class PassedOver(NamedTuple):
    """A folder that `walk_files` does not look into.

    Attributes:
        path: The folder.
        reason: Why.
        lost: Whether files in it may be missing for that.
    """

    path: str
    reason: str
    lost: bool


def walk_files(
    folder: str | os.PathLike[str], passed_over: list[PassedOver] | None = None, without: str = ""
) -> Iterator[str]:
    """All files below a folder in a fixed order, without hidden files and folders; links to folders are followed.

    Args:
        folder: The folder.
        passed_over: Receives the folders that are not looked into: those seen already, to which links lead, those that
            cannot be read, and those that are called like a video.
        without: A folder that is not looked into, wherever it is met; "" for none.
    """
    notes = [] if passed_over is None else passed_over

    def unreadable(error: OSError) -> None:
        notes.append(PassedOver(str(error.filename), f"cannot be read ({error.strerror})", lost=True))

    seen: dict[tuple[int, int], str] = {}
    for base, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        if without and os.path.realpath(base) == os.path.realpath(without):
            folders.clear()
            continue
        stat = os.stat(base)
        first = seen.setdefault((stat.st_dev, stat.st_ino), base)
        if first != base:
            notes.append(PassedOver(base, f"the same folder as {first}", lost=False))
            folders.clear()
            continue
        for name in filter(is_video, folders):
            notes.append(PassedOver(os.path.join(base, name), "a folder that is called like a video", lost=True))
        folders[:] = sorted(
            (name for name in folders if not name.startswith(".") and not is_video(name)),
            # Of a folder and a link to it the folder comes first.
            key=lambda name: (os.path.islink(os.path.join(base, name)), name),
        )
        yield from (os.path.join(base, name) for name in sorted(files) if not name.startswith("."))


def list_videos(paths: Sequence[str | os.PathLike[str]], sounds: bool = False) -> list[str]:
    """The video files among files and folders.

    Args:
        paths: A folder, be it in a tar or on a server, gives the videos below it, in a fixed order, then those folders
            in it whose files may be missing, so that whoever opens them says why; a file is taken whatever its name.
        sounds: Sound files are taken, too.

    Raises:
        NoVideosError: There are none at all.
    """
    videos: list[str] = []
    for path in map(path_text, paths):
        if local_path(path) is None:
            inside = files_below(path) if is_folder(path) else [path]
            videos += [file for file in inside if file == path or is_video(file) or (sounds and is_sound(file))]
        elif os.path.isdir(path):
            notes: list[PassedOver] = []
            videos += [file for file in walk_files(path, notes) if is_video(file) or (sounds and is_sound(file))]
            videos += [note.path for note in notes if note.lost]
        else:
            videos.append(path)
    if not videos:
        raise NoVideosError(f"no videos{' or sounds' if sounds else ''} in {', '.join(map(str, paths))}")
    return videos


def file_name(path: str) -> str:
    """The name of a file without its folders, its tar or what its server is asked."""
    return os.path.basename(path if local_path(path) is not None else member_of(path).partition("?")[0])


def result_names(paths: Sequence[str]) -> list[str]:
    """A name for what is written about each of several files, so that no result takes another's place.

    Args:
        paths: The files.

    Returns:
        The name without ending where only one file has it, else with its ending, else with the folders below the
        deepest one that all files share.
    """
    files = [file_name(path) for path in paths]
    stems = [os.path.splitext(file)[0] for file in files]
    shared = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    choices = zip(stems, files, (os.path.relpath(os.path.abspath(path), shared) for path in paths))
    stem_counts, file_counts = Counter(stems), Counter(files)
    return [
        stem if stem_counts[stem] == 1 else file if file_counts[file] == 1 else below for stem, file, below in choices
    ]

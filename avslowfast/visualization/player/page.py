"""What a network makes of a file, gathered and written as a page."""

import base64
import functools
import html
import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...clips.places import spectrogram_span
from ...inference.load import meta_of, ModelMeta, network_of
from ...inference.moments import Moment, moments
from ...inference.offset import estimate_offset, SyncNotMeasurableError
from ...inference.sliding_window import segments, Window
from ...media import DecodeError, open_media, transcode
from ...utils.text import write_text
from ..colours import class_colour
from ..media import encoded_sound, has_frames, Pixels, Spectrogram

# Columns of the spectrogram per second and per image, and its height in pixels.
_RATE, _COLUMNS, _HEIGHT = 50, 4000, 80
# Classes of the timeline, at most.
_ROWS = 6
# Cells of evidence in time, at most: frames of a clip are shown for less than anyone can see.
_TIMES = 8

# Nothing is fetched from anywhere.
_POLICY = (
    "default-src 'none'; img-src data:; media-src blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class PlayerPage:
    """A page that was written.

    Attributes:
        path: The file.
        size: Bytes.
        windows: Windows of the file that were scored.
        offset: What is known of the offset of its audio, in words; "" for a network that does not measure it.
    """

    path: str
    size: int
    windows: int
    offset: str = ""


def write_player(
    model: nn.Module,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    step: float | None = None,
    topk: int = 5,
    short_side: int = 360,
    found: Sequence[Moment] | None = None,
) -> PlayerPage:
    """Write a page with a video, its sound, and what a network makes of it over time.

    Args:
        model: From `avslowfast.load_model`; a network that classifies clips.
        source: The video, or sound for a network without frames.
        out: File to write, .html.
        step: Seconds from one window to the next; None is half a window.
        topk: Classes whose scores are shown at a time.
        short_side: Of the video in the page, pixels, at most.
        found: From `inference.moments.moments`, where it is known already.

    Raises:
        SlidingWindowError: The network classifies boxes.
        DecodeError: The file cannot be read.
        OSError: The page cannot be written.
    """
    meta, name = meta_of(model), os.path.basename(os.fspath(source))
    found = moments(model, source, step) if found is None else found
    shown = has_frames(source)
    with open_media(source, frames=shown) as reader:
        begin, end = reader.clock.start, max(reader.clock.end, reader.extent.end)
    offset = offset_words(model, source)
    content = _content(meta, found, begin, end, topk) | {
        "crop": shown,
        "spectrogram": _spectrogram(source, begin, end),
        "type": "video/mp4" if shown else "audio/mp4",
    }
    file = _media(source, (begin, end), short_side) if shown else encoded_sound(source)
    page = _document(name, meta, content, file, offset)
    write_text(out, page)
    return PlayerPage(os.fspath(out), os.path.getsize(out), len(found), offset)


def offset_words(model: nn.Module, source: str | os.PathLike[str]) -> str:
    """What is known of the offset of a file's audio, in words; "" for a network that does not measure it.

    Args:
        model: From `avslowfast.load_model`.
        source: The file.
    """
    if not len(network_of(model).sync_heads):
        return ""
    try:
        offset = estimate_offset(model, source)
    except (SyncNotMeasurableError, DecodeError) as error:
        return str(error).removeprefix(f"{source}: ")
    if offset.seconds is None:
        return f"cannot tell: {offset.reason}"
    return f"the sound is {1000 * abs(offset.seconds):.0f} ms {'late' if offset.seconds > 0 else 'early'}"


# ---- What the page shows ---------------------------------------------------------------------------------------------


def _content(meta: ModelMeta, found: Sequence[Moment], begin: float, end: float, topk: int) -> dict[str, Any]:
    """The data of the page: times count from the beginning of the file, classes are numbers in a table of their own."""
    cases = {"both": [moment.window for moment in found]}
    for case, of_case in (
        ("mute", [moment.without_audio for moment in found]),
        ("blind", [moment.without_frames for moment in found]),
    ):
        if all(scores is not None for scores in of_case):
            cases[case] = [Window(m.window.start, m.window.stop, s or {}) for m, s in zip(found, of_case)]
    table = _ClassTable(meta)
    return {
        "duration": round(end - begin, 3),
        "windows": [[round(m.window.start - begin, 3), round(m.window.stop - begin, 3)] for m in found],
        "cases": {case: _case(windows, meta, table, begin, topk) for case, windows in cases.items()},
        "evidence": {
            "of": [None if m.class_id is None else table.number("", m.class_id) for m in found],
            "visual": _bytes_of([None if m.visual is None else _fewer_times(m.visual) for m in found]),
            "audio": _bytes_of([m.audio for m in found]),
            "spans": _evidence_spans(meta, found, begin),
        },
        "classes": table.rows,
    }


class _ClassTable:
    """The classes that a page names, each with its colour.

    Args:
        meta: Of the network.

    Attributes:
        rows: [[name, colour]].
    """

    def __init__(self, meta: ModelMeta) -> None:
        self._meta, self._numbers = meta, dict[tuple[str, int], int]()
        self.rows: list[list[str]] = []

    def number(self, head: str, class_id: int) -> int:
        """Number of a class in `rows`."""
        if (head, class_id) not in self._numbers:
            self._numbers[head, class_id] = len(self.rows)
            self.rows.append([self._meta.class_label(class_id, head), class_colour(class_id)])
        return self._numbers[head, class_id]


def _case(windows: Sequence[Window], meta: ModelMeta, table: _ClassTable, begin: float, topk: int) -> dict[str, Any]:
    """The best classes of each window, rows of a timeline, and segments."""
    best = [
        [
            [table.number(head, i), round(float(scores[i]), 4)]
            for head, scores in window.scores.items()
            for i in np.argsort(-scores, kind="stable")[:topk].tolist()
        ]
        for window in windows
    ]
    votes = Counter((head, int(np.argmax(row))) for window in windows for head, row in window.scores.items())
    leading = [key for key, _ in votes.most_common(_ROWS)]
    numbers = {meta.class_label(i, head): table.number(head, i) for head, i in votes}
    return {
        "best": best,
        "rows": [
            {"class": table.number(head, i), "levels": [round(float(w.scores[head][i]), 3) for w in windows]}
            for head, i in leading
        ],
        "segments": [
            [round(s.start - begin, 2), round(s.stop - begin, 2), numbers[s.name], round(s.score, 3)]
            for s in segments(windows, meta)
        ],
    }


def _evidence_spans(meta: ModelMeta, found: Sequence[Moment], begin: float) -> dict[str, list[list[float]]]:
    """{"visual", "audio": [start, stop] of what the network takes for each window}, which may reach beyond it."""
    settings = meta.clip_reader.settings
    spans = {"visual": [(m.start, m.start + settings.duration) for m in found]}
    if settings.audio is not None:
        spans["audio"] = [spectrogram_span(settings, settings.audio, m.start) for m in found]
    return {kind: [[round(t - begin, 3) for t in span] for span in of_kind] for kind, of_kind in spans.items()}


def _fewer_times(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evidence [T, H, W] with at most `_TIMES` instants."""
    chosen = np.linspace(0, len(cells) - 1, min(len(cells), _TIMES)).round().astype(int)
    return cells[chosen]


def _bytes_of(maps: Sequence[NDArray[np.float32] | None]) -> dict[str, Any] | None:
    """Evidence of all windows as bytes; None without evidence."""
    present = [cells for cells in maps if cells is not None]
    if not present or len(present) < len(maps):
        return None
    values = (255 * np.stack(present)).round().astype(np.uint8)
    return {"shape": values.shape[1:], "values": base64.b64encode(values.tobytes()).decode()}


def _spectrogram(source: str | os.PathLike[str], begin: float, end: float) -> dict[str, Any] | None:
    """The spectrogram as a row of images; None without audio."""
    spectrogram = Spectrogram(source)
    if not spectrogram.exists:
        return None
    times = begin + (np.arange(max(int(np.ceil((end - begin) * _RATE)), 1)) + 0.5) / _RATE
    images = [
        _png(spectrogram.image(times[first : first + _COLUMNS], _HEIGHT)) for first in range(0, len(times), _COLUMNS)
    ]
    return {"rate": _RATE, "columns": _COLUMNS, "height": _HEIGHT, "images": images}


def _png(pixels: Pixels) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(64).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _media(source: str | os.PathLike[str], span: tuple[float, float], short_side: int) -> bytes:
    """The video as browsers play it; its second 0 is the beginning of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "video.mp4")
        transcode(source, path, short_side, span=span, crf=26)
        with open(path, "rb") as f:
            return f.read()


# ---- The page --------------------------------------------------------------------------------------------------------


def _document(name: str, meta: ModelMeta, content: Mapping[str, Any], file: bytes, offset: str) -> str:
    """HTML of the page."""
    video = content["type"].startswith("video")
    screen = (
        "<div id='screen'><video id='media' controls playsinline aria-label='The video, with its sound'></video>"
        "<canvas id='heat' aria-hidden='true'></canvas></div>"
        if video
        else "<audio id='media' controls aria-label='The sound'></audio>"
    )
    strip = (
        "<canvas id='strip' role='img' aria-label='Log-mel spectrogram of three seconds before and after now'></canvas>"
        if content["spectrogram"]
        else "<p class='note'>No sound in this file.</p>"
    )
    buttons = "".join(
        f"<button type='button' id='{key}' aria-pressed='false'>{words}</button>"
        for key, words, there in (
            ("mute", "Mute the model", "mute" in content["cases"]),
            ("blind", "Blind the model", "blind" in content["cases"]),
            ("evidence", "Show evidence", any(content["evidence"][kind] for kind in ("visual", "audio"))),
        )
        if there
    )
    # What ends a script must not stand in it.
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    source = f"{html.escape(meta.cfg.MODEL.ARCH)}, {html.escape(os.path.basename(meta.source or 'fresh weights'))}"
    return Template(_asset("player.html")).substitute(
        policy=_POLICY,
        title=html.escape(name),
        style=_asset("player.css"),
        model=source,
        screen=screen,
        strip=strip,
        duration=content["duration"],
        buttons=buttons,
        offset=f"<p id='offset'>Synchronisation: {html.escape(offset)}.</p>" if offset else "",
        data=data,
        file=base64.b64encode(file).decode(),
        script=_asset("player.js"),
    )


@functools.cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")

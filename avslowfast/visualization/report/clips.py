"""The clips with the lowest and the highest scores of their class, with frames and audio inside the page."""

import base64
import html
import io
import os
import tempfile

import av
import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...evaluation.metrics.classification import topk_correct
from ...media import AudioSamples, open_media, transcode
from ...utils.errors import UserError
from ..media import encode_aac, frame_strip, has_frames, preview
from ..player import write_player
from .run import Run, single_label

_CLIPS = 4
# Seconds of a clip, its short side and the height of its image in pixels, the quality of x264, parts of a spectrogram.
_SECONDS, _SHORT_SIDE, _HEIGHT, _CRF, _COLUMNS = 10.0, 180, 180, 30, 3
_JPEG_QUALITY = 80


def best_and_worst(run: Run, model: nn.Module | None = None) -> str:
    """Cards of some clips as HTML; "" where videos have not one label each.

    Args:
        run: The run.
        model: Its network, with which each card gets a page to play with; None leaves them out.
    """
    scored = single_label(run)
    if scored is None or run.scores is None or not run.scores.paths:
        return ""
    scores, labels, names = scored
    readable = np.flatnonzero(~np.isnan(scores).any(axis=1))
    of_label = scores[readable, labels[readable]]
    groups = {"Highest score of the true class": readable[np.argsort(-of_label, kind="stable")][:_CLIPS]}
    if not topk_correct(scores[readable], labels[readable], 1).all():
        worst = readable[np.argsort(of_label, kind="stable")][:_CLIPS]
        groups = {"Lowest score of the true class": worst, **groups}
    body = ""
    for title, chosen in groups.items():
        cards = []
        for i in chosen.tolist():
            caption = f"<b>{html.escape(names[labels[i]])}</b> {100 * float(scores[i, labels[i]]):.1f} %"
            if scores[i].argmax() != labels[i]:
                caption += f"<br>predicted: {html.escape(names[scores[i].argmax()])}"
            cards.append(_card(run.scores.paths[i], caption, model))
        body += f"<p>{title}</p><div class='cards'>{''.join(cards)}</div>" if cards else ""
    return body


def _card(path: str, caption: str, model: nn.Module | None) -> str:
    """A file with its sound, what is said of it, and its name."""
    name = html.escape(os.path.basename(path))
    try:
        shown = _video(path, name) if has_frames(path) else _sound(path, name)
        play = "" if model is None else _page(model, path, name)
    except UserError as error:
        return f"<div class='card'>{caption}<br>{html.escape(str(error))}</div>"
    return f"<div class='card'>{shown}<br>{caption}<br>{name}{play}</div>"


def _video(path: str, name: str) -> str:
    """The beginning of a video, with its sound."""
    with open_media(path) as reader:
        start, silent, pixels = reader.extent.start, reader.audio is None, frame_strip(reader, 1, _HEIGHT)
    with tempfile.TemporaryDirectory() as folder:
        part = os.path.join(folder, "clip.mp4")
        transcode(path, part, _SHORT_SIDE, span=(start, start + _SECONDS), crf=_CRF)
        with open(part, "rb") as f:
            content = base64.b64encode(f.read()).decode()
    return (
        f"<video controls playsinline preload='none' aria-label='{name}' "
        f"poster='data:image/jpeg;base64,{_jpeg(pixels)}' src='data:video/mp4;base64,{content}'></video>"
        f"{'<i>no audio</i>' if silent else ''}"
    )


def _sound(path: str, name: str) -> str:
    """The spectrogram and the beginning of a sound."""
    pixels, audio = preview(path, _COLUMNS, _HEIGHT, _SECONDS)
    image = f"<img alt='Log-mel spectrogram of {name}' src='data:image/jpeg;base64,{_jpeg(pixels)}'>"
    return (
        f"{image}<audio controls preload='none' aria-label='{name}' src='data:audio/mp4;base64,{_aac(audio)}'></audio>"
    )


def _page(model: nn.Module, path: str, name: str) -> str:
    """The page to play with, which is loaded when it is opened."""
    with tempfile.TemporaryDirectory() as folder:
        part = os.path.join(folder, "page.html")
        write_player(model, path, part)
        with open(part, encoding="utf-8") as f:
            content = html.escape(f.read(), quote=True)
    return (
        f"<details><summary>Play with it</summary><iframe title='{name}, to play with' sandbox='allow-scripts' "
        f"loading='lazy' srcdoc='{content}'></iframe></details>"
    )


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    """An image as base64 JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()


def _aac(audio: AudioSamples) -> str:
    """Audio as base64 AAC in mp4."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        encode_aac(out, [audio.samples])
    return base64.b64encode(buffer.getvalue()).decode()

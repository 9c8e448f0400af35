"""The clips with the lowest and the highest scores of their class, with frames and audio inside the page."""

import base64
import html
import io
import os

import av
import numpy as np
from numpy.typing import NDArray

from ...evaluation.metrics.classification import topk_correct
from ...media import AudioSamples, DecodeError
from ..media import encode_aac, preview
from .run import Run
from .sections import single_label

_CLIPS = 4
_FRAMES, _HEIGHT, _JPEG_QUALITY = 3, 90, 80
_SECONDS = 4.0


def best_and_worst(run: Run) -> str:
    """Cards of some clips as HTML; "" where videos have not one label each.

    Args:
        run: The run.
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
        cards = [
            _card(run.scores.paths[i], names[labels[i]], names[scores[i].argmax()], float(scores[i, labels[i]]))
            for i in chosen.tolist()
        ]
        body += f"<p>{title}</p><div class='cards'>{''.join(cards)}</div>" if cards else ""
    return body


def _card(path: str, label: str, predicted: str, score: float) -> str:
    """Frames, audio, classes and name of a file."""
    caption = f"<b>{html.escape(label)}</b> {100 * score:.1f} %"
    if predicted != label:
        caption += f"<br>predicted: {html.escape(predicted)}"
    try:
        pixels, audio = preview(path, _FRAMES, _HEIGHT, _SECONDS)
    except DecodeError as error:
        return f"<div class='card'>{caption}<br>{html.escape(str(error))}</div>"
    player = "<i>no audio</i>"
    if audio.has_audio:
        player = f"<audio controls preload='none' src='data:audio/mp4;base64,{_aac(audio)}'></audio>"
    name = html.escape(os.path.basename(path))
    image = f"<img alt='' src='data:image/jpeg;base64,{_jpeg(pixels)}'>"
    return f"<div class='card'>{image}{player}<br>{caption}<br>{name}</div>"


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

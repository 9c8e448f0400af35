"""What TensorBoard shows besides curves: the confusion matrix, a few clips with their sound, histograms of the weights."""

import numpy as np

from ..evaluation.metrics.classification import confusion_matrix
from ..media import DecodeError, Geometry, VideoReader

_RATE, _SECONDS, _HEIGHT, _PICTURES = 16000, 4.0, 96, 6
# A cell of the confusion matrix, pixels; fewer where there are many classes.
_CELL, _MOST_PIXELS = 12, 800


def write_confusion(writer, scores, labels, step):
    """The confusion matrix as a picture: a row a true class, darker is more; for one label a video, else nothing."""
    if isinstance(scores, (dict, list)) or labels.ndim != 1 or (labels < 0).any():
        return
    counts = confusion_matrix(scores, labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = max(min(_CELL, _MOST_PIXELS // len(counts)), 1)
    writer.add_image("val/confusion", np.kron(1.0 - shares, np.ones((cell, cell)))[None], step)


def picture_strip(reader, count, height):
    """`count` pictures spread over an open video, side by side: uint8 [height, W, 3]."""
    begin, end = reader.video.start, reader.video.end
    times = begin + (end - begin) * (np.arange(count) + 0.5) / count
    pictures = reader.read_frames(times, lambda h, w: Geometry((height, max(round(w * height / h), 1))))
    return np.concatenate(list(pictures), axis=1)


def write_clips(writer, paths, step):
    """Pictures in a strip and sound of some training files; a file that cannot be read is passed over, since training counts it already."""
    for number, path in enumerate(paths):
        try:
            with VideoReader(path) as reader:
                strip = picture_strip(reader, _PICTURES, _HEIGHT)
                samples, heard = reader.read_audio(
                    reader.video.start, min(_SECONDS, reader.video.end - reader.video.start), _RATE
                )
        except DecodeError:
            continue
        writer.add_image(f"clips/{number}", strip, step, dataformats="HWC")
        if heard:
            writer.add_audio(f"clips/{number}", samples[None], step, sample_rate=_RATE)


def write_histograms(writer, model, step):
    """A histogram of each weight."""
    for name, parameter in model.named_parameters():
        writer.add_histogram(name, parameter.detach().float().cpu(), step)

"""What happens at which time in a file: a network is applied to windows over its whole length."""

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn, Tensor
from tqdm import tqdm

from ..clips.spans import view_starts
from ..config.derived import task_facts
from ..tasks.scores import FloatArray
from ..utils.arguments import ArgumentError, positive, whole
from ..utils.errors import UserError
from .load import meta_of, ModelMeta
from .scoring import score_clips

# Seconds; no frame and no row of a log-mel is shorter.
_SHORTEST_STEP = 0.001


class SlidingWindowError(UserError, ValueError):
    """A network that does not classify clips; the message says what to use."""


class UnknownClassError(UserError, ValueError):
    """A class that a network does not have; the message lists near ones."""


@dataclass(frozen=True, eq=False)
class Window:
    """A span of a file with the scores of its classes.

    Attributes:
        start: Second at which it begins, on the presentation clock of the file.
        stop: Second at which it ends.
        scores: {classifier: [classes], 0..1}; the only classifier of a network is called "".
    """

    start: float
    stop: float
    scores: dict[str, FloatArray]

    @property
    def middle(self) -> float:
        """The second in its middle."""
        return (self.start + self.stop) / 2

    def __repr__(self) -> str:
        return f"Window({self.start:.2f}-{self.stop:.2f} s)"


class Segment(NamedTuple):
    """A run of windows with the same best class.

    Attributes:
        start: Second at which it begins.
        stop: Second at which it ends.
        name: The class.
        score: Mean score of the class in the windows, 0..1.
    """

    start: float
    stop: float
    name: str
    score: float


def slide(
    model: nn.Module,
    video: str | os.PathLike[str],
    step: float | None = None,
    batch: int = 8,
    progress: bool = True,
) -> list[Window]:
    """Classify windows over the whole length of a file, however long it is.

    Args:
        model: From `avslowfast.load_model`.
        video: The file; one of sound for a network without frames.
        step: Seconds from one window to the next; None is half a window.
        batch: Windows in one forward pass; no more are in memory at a time.
        progress: Show a progress bar on a terminal.

    Returns:
        The windows in order; a file shorter than a window has one.

    Raises:
        ArgumentError: A number that makes no sense, or something else than a path.
        SlidingWindowError: The network classifies boxes.
        NoClassifierError: The network has no classifier.
        DecodeError: The file cannot be read.
        NotFiniteError: Scores are NaN or infinite.
    """
    return [
        Window(*span, {head: rows[i] for head, rows in scores.heads.items()})
        for spans, clips in clips_of_windows(model, video, step, batch, progress)
        for scores in (score_clips(model, clips, batch, video),)
        for i, span in enumerate(spans)
    ]


def clips_of_windows(
    model: nn.Module, video: str | os.PathLike[str], step: float | None, batch: int, progress: bool
) -> Iterator[tuple[list[tuple[float, float]], dict[str, Tensor]]]:
    """The windows of a file and their clips, some at a time; arguments and errors as `slide`.

    Yields:
        ([(start, stop) in seconds], inputs of as many clips).
    """
    meta = meta_of(model)
    if task_facts(meta.cfg).boxes:
        raise SlidingWindowError(
            "the network classifies boxes, not windows; give boxes (avslowfast demo --boxes, or classify_boxes)"
        )
    clip_reader = meta.clip_reader
    duration, batch = clip_reader.settings.duration, whole("batch", batch)
    step = duration / 2 if step is None else positive("step", step)
    if step < _SHORTEST_STEP:
        raise ArgumentError(f"step is {step:g}: shorter than any frame; give {_SHORTEST_STEP} seconds or more")
    with clip_reader.open(video) as media:
        begin, end = clip_reader.bounds(media)
        starts = window_starts(begin, end, duration, step, around=not clip_reader.settings.has_frames)
        with tqdm(total=len(starts), desc="windows", unit="window", disable=None if progress else True) as bar:
            for first in range(0, len(starts), batch):
                part = starts[first : first + batch]
                spans = [(max(start, begin), min(start + duration, max(end, start))) for start in part.tolist()]
                yield spans, clip_reader.clips_at(media, part)
                bar.update(len(part))


def window_starts(begin: float, end: float, duration: float, step: float, around: bool = False) -> NDArray[np.float64]:
    """Seconds at which windows begin so that they cover a span; the last one ends with the span.

    Args:
        begin: Of the span, seconds.
        end: Of the span, seconds.
        duration: Of a window, seconds.
        step: From one window to the next, seconds.
        around: A window longer than the span has it in its middle; else it begins with it.
    """
    if around and end - begin < duration:
        return view_starts(begin, end, duration, 1, around=True)
    count = max(int(np.ceil((end - begin - duration) / step)), 0) + 1
    return np.minimum(begin + np.arange(count) * step, max(end - duration, begin))


def top_classes(window: Window, meta: ModelMeta, count: int) -> list[tuple[str, float]]:
    """The best classes of a window, of each classifier in turn.

    Args:
        window: From `slide`.
        meta: Of the network.
        count: Classes of each classifier.

    Returns:
        [(name, score)], the best of each first; with several classifiers a name is "classifier: class".
    """
    return [
        (meta.class_label(i, head), float(scores[i]))
        for head, scores in window.scores.items()
        for i in np.argsort(-scores, kind="stable")[:count].tolist()
    ]


def segments(windows: Sequence[Window], meta: ModelMeta) -> list[Segment]:
    """Runs of windows with the same best class; each window counts for the time around its middle.

    Args:
        windows: From `slide`.
        meta: Of the network.

    Returns:
        The segments of each classifier in turn, in order: its first begins with the first window, its last ends with
        the last window.
    """
    heads = windows[0].scores if windows else ()
    return [run for head in heads for run in _runs(windows, meta, head)]


def _runs(windows: Sequence[Window], meta: ModelMeta, head: str) -> Iterator[Segment]:
    """The segments of one classifier."""
    scores = np.stack([window.scores[head] for window in windows])
    best = scores.argmax(axis=1)
    # A segment begins with the first window of its class.
    firsts = [i for i in range(len(windows)) if not i or best[i] != best[i - 1]]
    for first, after in zip(firsts, [*firsts[1:], len(windows)]):
        start = windows[0].start if not first else _between(windows[first - 1], windows[first])
        stop = windows[-1].stop if after == len(windows) else _between(windows[after - 1], windows[after])
        class_id = int(best[first])
        yield Segment(start, stop, meta.class_label(class_id, head), float(scores[first:after, class_id].mean()))


def _between(a: Window, b: Window) -> float:
    return (a.middle + b.middle) / 2


def class_index(meta: ModelMeta, name: str) -> int:
    """Id of a class by its name or its number.

    Args:
        meta: Of a network with one classifier.
        name: The name, or the number as text.

    Raises:
        UnknownClassError: There is no such class; the message lists near ones.
    """
    names = meta.class_names if isinstance(meta.class_names, list) else []
    if name in names:
        return names.index(name)
    count = int(meta.cfg.MODEL.NUM_CLASSES)
    if name.isascii() and name.isdigit() and int(name) < count:
        return int(name)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.2)
    if near:
        hint = f"near ones: {', '.join(near)}"
    else:
        hint = f"it has {count} classes" + (f", among them {', '.join(names[:5])}" if names else "")
    raise UnknownClassError(f"the network has no class {name!r}; {hint}")

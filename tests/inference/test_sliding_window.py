"""Windows over a whole file, segments of the same class, classes by name."""

import numpy as np
import pytest
from helpers import VERB_AND_NOUN

from avslowfast.inference.sliding_window import class_index, Segment, segments, slide, SlidingWindowError, Window
from avslowfast.media import VideoReader
from avslowfast.utils.errors import UserError


def test_windows_cover_the_file_and_agree_with_predict(network, synthav):
    video = synthav / "test/000001.mp4"
    windows = slide(network, video, batch=3)
    with VideoReader(video) as reader:
        begin, end = reader.video.start, reader.video.end
    assert windows[0].start == begin and abs(windows[-1].stop - end) < 1e-6
    assert all(b.start <= a.stop for a, b in zip(windows, windows[1:]))
    again = slide(network, video, batch=8)
    assert np.allclose([w.scores[""] for w in windows], [w.scores[""] for w in again], atol=1e-5)
    runs = segments(windows, network.meta)
    assert runs[0][0] == begin and abs(runs[-1][1] - end) < 1e-6 and all(b[0] <= a[1] for a, b in zip(runs, runs[1:]))
    one = slide(network, video, step=100)
    assert len(one) <= 2


def test_segments_meet_between_the_middles_of_windows(network):
    def window(start, best):
        scores = np.zeros(16, np.float32)
        scores[best] = 0.5
        return Window(start, start + 2.0, {"": scores})

    runs = segments([window(0.0, 3), window(1.0, 3), window(2.0, 4), window(3.0, 3)], network.meta)
    a, b = network.meta.class_name(3), network.meta.class_name(4)
    assert runs == [Segment(0.0, 2.5, a, 0.5), Segment(2.5, 3.5, b, 0.5), Segment(3.5, 5.0, a, 0.5)]


def test_each_classifier_has_its_segments(fresh):
    verbs, nouns = np.eye(5, dtype=np.float32), np.eye(6, dtype=np.float32)
    windows = [Window(i, i + 2.0, {"verb": verbs[i // 2], "noun": nouns[1]}) for i in range(4)]
    runs = segments(windows, fresh(*VERB_AND_NOUN).meta)
    assert [(run.start, run.stop, run.name) for run in runs] == [
        (0, 2.5, "verb: class 0"),
        (2.5, 5.0, "verb: class 1"),
        (0, 5.0, "noun: class 1"),
    ]


def test_classes_are_found_by_name_and_number(network):
    assert class_index(network.meta, "slide+tone") == 0 and class_index(network.meta, "7") == 7
    with pytest.raises(UserError, match="near ones: .*slide.tone"):
        class_index(network.meta, "slide tone")


def test_a_network_of_boxes_has_no_windows(boxes_network, synthav):
    with pytest.raises(SlidingWindowError, match="classifies boxes"):
        slide(boxes_network, synthav / "test/000001.mp4")

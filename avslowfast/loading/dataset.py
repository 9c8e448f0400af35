"""Records x clip reader x label rule = samples.

A training sample is one clip, see `clips.reader`, with "label", "index" (of the video that was read), "path",
"failures" and "flaws" (see `loading.flaws`); with several clips per video it is a list of these. A validation sample is
the centred clip. A test sample has all views of a video: a first axis of views x crops.

A file that cannot be decoded: in training the next readable one of the epoch's order takes its place, and "failures"
names it [(path, reason)]; in validation and test the sample holds "failure" (the reason) in place of clips. Several
files in a row whose servers do not answer end the reading: it is no fault of the files, and the run can be resumed.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import Dataset

from ..clips import transforms
from ..clips.reader import ClipReader, Tensors, TrainingClip
from ..datasets.base import BoxLabels, ClassNames, Listing, Records
from ..media import DecodeError, MediaReader
from ..media.pixels import Geometry
from ..media.remote import UnreachableError
from .flaws import Flaw, flaws_of
from .labels import Boxes, LabelRule
from .samplers import SampleKey, VideoOrder

# Tensors of a clip, with what says where it comes from.
Sample = dict[str, Any]

# Unreadable files in a row that training replaces.
_MAX_REPLACEMENTS = 1000
# Files in a row whose server may not answer, each after all of its tries.
_MAX_UNREACHED = 3


class ClipDataset(Dataset[Any]):
    """Clips of the videos of a listing; samples as in the module.

    Args:
        listing: The records.
        clip_reader: Cuts clips from an open video.
        labels: Turns a record's label into a tensor.
        split: How clips are cut: train | val | test.

    Attributes:
        reading: Called with the number of each record before it is opened.
        order: In which training visits the records.
        unreadable: Reasons by number of the records that are not to be opened, since they end or stop their reader.
    """

    def __init__(self, listing: Listing, clip_reader: ClipReader, labels: LabelRule, split: str) -> None:
        self.listing = listing
        self.clip_reader = clip_reader
        self.labels = labels
        self.split = split
        self.reading: Callable[[int], None] = _ignore
        self.unreadable: dict[int, str] = {}
        self._unreached = 0
        self.order = VideoOrder(clip_reader.settings.seed, len(listing.records))

    @property
    def records(self) -> Records:
        """The videos or segments."""
        return self.listing.records

    @property
    def class_names(self) -> ClassNames:
        """Names in order of the class ids, or None; {classifier: names} for several classifiers."""
        return self.listing.class_names

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.split}: {len(self)} records, {self.clip_reader})"

    def __getitem__(self, key: int | SampleKey) -> Sample | list[Sample]:
        if not isinstance(key, SampleKey):
            key = SampleKey(int(key), 0, int(key))
        if self.split != "train":
            return self.evaluation_sample(key.video)
        samples = self.training_samples(key)
        return samples[0] if len(samples) == 1 else samples

    def label(self, index: int, span: tuple[float, float] | None = None) -> torch.Tensor:
        """The label of a record as a tensor, see `labels`.

        Args:
            index: Number of the record.
            span: (start, stop) of a training clip, seconds from the beginning of its video; None for the whole record.
        """
        return self.labels.label(self.records[index], span)

    def training_samples(self, key: SampleKey) -> list[Sample]:
        """The training clips of a video, or of the next readable one in the epoch's order.

        Args:
            key: The video, and its place in the epoch.

        Raises:
            DecodeError: No readable file.
            UnreachableError: A server does not answer, again and again.
        """
        index, failures = key.video, []
        for attempt in range(min(len(self), _MAX_REPLACEMENTS)):
            if attempt:
                index = int(self.order.of(key.epoch)[(key.position + attempt) % len(self)])
            record = self.records[index]
            try:
                with self._open(index, training=True) as reader:
                    clips = self._training_clips(self.clip_reader.shaped(key.shape), reader, index, key.epoch)
                    flaws = self._flaws(reader, index)
            except DecodeError as error:
                self._count_unreached(error)
                failures.append((record.path, error.reason_for(record.path)))
                continue
            self._unreached = 0
            samples = [{**clip.tensors, **self._about(index, clip.span), "failures": [], "flaws": []} for clip in clips]
            samples[0].update(failures=failures, flaws=flaws)
            return samples
        first, last = (f"{path} ({reason})" for path, reason in (failures[0], failures[-1]))
        others = f"; the last: {last}" if len(failures) > 1 else ""
        raise DecodeError(
            f"no readable file among {len(failures)} tried; the first: {first}{others}. "
            "Check the paths in the list and DATA.PATH_PREFIX"
        )

    def evaluation_sample(self, index: int) -> Sample:
        """The clips of a record as validation or testing takes them, or its "failure".

        Args:
            index: Number of the record.

        Raises:
            UnreachableError: A server does not answer, again and again.
        """
        record = self.records[index]
        try:
            with self._open(index) as reader:
                clips: Sample = dict(self._evaluation_clips(reader, index))
                clips["flaws"] = self._flaws(reader, index)
            self._unreached = 0
        except DecodeError as error:
            self._count_unreached(error)
            clips = {"failure": error.reason_for(record.path), "flaws": []}
        return {**clips, **self._about(index)}

    def _open(self, index: int, training: bool = False) -> MediaReader:
        record = self.records[index]
        if index in self.unreadable:
            raise DecodeError(self.unreadable[index], record.path)
        self.reading(index)
        return self.clip_reader.open(record.path, record.audio_path, record.frame_rate, training)

    def _count_unreached(self, error: DecodeError) -> None:
        self._unreached = self._unreached + 1 if isinstance(error, UnreachableError) else 0
        if self._unreached > _MAX_UNREACHED:
            raise error

    def _flaws(self, reader: MediaReader, index: int) -> list[Flaw]:
        return flaws_of(reader, self.records[index].path, self.clip_reader.settings.audio is not None)

    def _training_clips(self, cuts: ClipReader, reader: MediaReader, index: int, epoch: int) -> list[TrainingClip]:
        """The training clips of an open record, in the shape that `cuts` gives them."""
        return cuts.training_clips(reader, epoch=epoch, index=index, span=self.records[index].span)

    def _evaluation_clips(self, reader: MediaReader, index: int) -> Tensors:
        """The validation clip or the test views of an open record."""
        cut: Callable[..., Tensors] = (
            self.clip_reader.test_views if self.split == "test" else self.clip_reader.validation_clip
        )
        return cut(reader, index=index, span=self.records[index].span)

    def _about(self, index: int, span: tuple[float, float] | None = None) -> Sample:
        return {"label": self.label(index, span), "index": torch.tensor(index), "path": self.records[index].path}


class KeyFrameDataset(ClipDataset):
    """Key frames with boxes (AVA); a clip is centred on its key frame, and so is its audio.

    Samples have, besides the clip, "boxes" [K, 4] (x1, y1, x2, y2 in input pixels), "targets" [K, classes] of 0 and 1,
    and "dropped_boxes", the number of those that lay outside the crop. A test sample is one clip of the whole frame.

    Args:
        listing: Records with boxes.
        clip_reader: Cuts clips from an open video.
        labels: The classes of boxes.
        split: How clips are cut: train | val | test.
    """

    labels: Boxes

    def __init__(self, listing: Listing, clip_reader: ClipReader, labels: Boxes, split: str) -> None:
        super().__init__(listing, clip_reader, labels, split)

    def targets(self, index: int) -> torch.Tensor:
        """What the people of a key frame do: [K, classes] of 0 and 1."""
        return self.labels.targets(self._boxes(index))

    def _boxes(self, index: int) -> BoxLabels:
        boxes: BoxLabels = self.records[index].label
        return boxes

    def _instant(self, reader: MediaReader, index: int) -> float:
        """The key frame, seconds from the beginning of its video."""
        record = self.records[index]
        instant = record.span[0] if record.span else 0.0
        if not 0 <= instant <= reader.clock.duration:
            raise DecodeError(
                f"the key frame at {instant:.0f} s lies outside its {reader.clock.duration:.1f} s", record.path
            )
        return instant

    def _training_clips(self, cuts: ClipReader, reader: MediaReader, index: int, epoch: int) -> list[TrainingClip]:
        instant = self._instant(reader, index)
        clips = cuts.training_clips(reader, epoch=epoch, index=index, instant=instant)
        for clip in clips:
            if clip.geometry is not None:
                clip.tensors.update(self._moved_boxes(index, clip.geometry, clip.flip))
        return clips

    def _evaluation_clips(self, reader: MediaReader, index: int) -> Tensors:
        instant = self._instant(reader, index)
        clip = self.clip_reader.clip_around(reader, instant, whole_frame=self.split == "test")
        # A box beyond the crop is scored as well, by what is nearest: every box has to be given a score.
        return {**clip.tensors, **self._moved_boxes(index, clip.geometry, keep_all=True)}

    def _moved_boxes(self, index: int, geometry: Geometry, flip: bool = False, keep_all: bool = False) -> Tensors:
        """Boxes where their pixels are, without those that lie outside unless all are kept."""
        boxes, is_inside = transforms.move_boxes(self._boxes(index).boxes, geometry, flip)
        kept = torch.from_numpy(is_inside | keep_all)
        return {
            "boxes": torch.from_numpy(boxes)[kept],
            "targets": self.targets(index)[kept],
            "dropped_boxes": torch.tensor(int((~kept).sum())),
        }


def _ignore(index: int) -> None:
    pass

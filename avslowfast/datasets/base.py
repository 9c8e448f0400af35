"""Record -> sample. What every data set of videos shares: where clips lie, what fails, what is counted."""

import os
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from ..clips import spans as clips
from ..clips import transforms
from ..clips.logmel import apply_spec_masks, draw_spec_masks
from ..clips.negatives import measured_sounds, training_negative
from ..config import ConfigError
from ..media import DecodeError, open_media
from ..utils.registry import Registry
from ..utils.seeding import generator

DATASETS = Registry("DATASETS")


class Record(NamedTuple):
    """A video of a data set, or a segment of one.

    Attributes:
        path: the file. label: a class id, or a tuple of ids (several labels, or one a classifier). where: file and line that say so.
        span: (start, stop) of the segment in seconds from the beginning of the video; None is all of it.
        sound: another file that holds the sound, on the same clock; "" is the video itself.
        name: the data set's own id of the segment.
        frame_rate: frames a second, where `path` is a folder of frames.
    """

    path: str
    label: object
    where: str = ""
    span: tuple | None = None
    sound: str = ""
    name: str = ""
    frame_rate: float = 0.0


@dataclass(frozen=True)
class Source:
    """Where a data set lies and how it is cut; each data set takes what concerns it.

    Attributes:
        folder: of the label files. prefix: of the videos; "" is `folder`. separator: between path and label in list files.
        names_file: a class name a line. heads: {classifier: classes} of a multi-head model.
        fold: number of the split, from 1, of data sets that have several.
        train_part, test_part: which part is trained and tested on, of data sets that leave a choice.
        target: what a single classifier tells, of data sets with several labels a segment.
        video_file, sound_file: names of the files, with fields in braces; "" is the data set's own way.
        options: the data set's own node of the configuration, as a dict.
        labelled: labels are of interest; without, list files need none.
    """

    folder: str
    prefix: str = ""
    separator: str = " "
    names_file: str = ""
    num_classes: int = 0
    heads: dict | None = None
    fold: int = 1
    train_part: str = ""
    test_part: str = ""
    target: str = ""
    video_file: str = ""
    sound_file: str = ""
    options: dict | None = None
    labelled: bool = True

    def file(self, *names, what="label file"):
        """Path of the first of some files in the folder that exists.

        Raises:
            ConfigError: none does; names the first.
        """
        for name in names:
            path = os.path.join(self.folder, name)
            if os.path.isfile(path):
                return path
        raise ConfigError(
            f"DATA.PATH_TO_DATA_DIR is {self.folder!r}: the {what} {os.path.join(self.folder, names[0])!r} does not exist; "
            "set it to the folder that holds the data set's label files (DATASETS.md)"
        )

    def video(self, template, **fields):
        """Path of a video by `video_file`, or by the data set's own `template`."""
        return os.path.join(self.prefix or self.folder, (self.video_file or template).format(**fields))

    def sound(self, **fields):
        """Path of a separate sound file; "" without `sound_file`."""
        return os.path.join(self.prefix or self.folder, self.sound_file.format(**fields)) if self.sound_file else ""


@dataclass(frozen=True)
class AudioSettings:
    """How a clip's sound becomes input.

    Attributes:
        front_end: waveform [..., N] -> [..., 1, T, F] (`audio.AudioFrontEnd`).
        sample_rate: Hz. window, step: seconds. num_frames: T.
        on_device: leave the waveform as it is; the training device applies the front end.
        hard_negatives: the loader may read the same video's sound from elsewhere, from `hard_from_epoch` on (a fraction serves as well), for
            a share 1 - `easy_ratio` of the clips, starting at least `min_gap` seconds away; of these the share `super_hard_ratio` overlaps
            the clip's own sound, starting at least `super_hard_gap` seconds away.
        shifts: seconds, ascending; evaluation samples hold the sound at these shifts and a hard negative, for synchronisation metrics.
        spec_masks: (masks, frames, bands) of SpecAugment, or None.
    """

    front_end: object
    sample_rate: int
    window: float
    step: float
    num_frames: int
    num_mels: int
    on_device: bool = False
    hard_negatives: bool = False
    hard_from_epoch: float = 0
    easy_ratio: float = 0.75
    min_gap: float = 0.5
    super_hard_ratio: float = 0.0
    super_hard_gap: float = 0.2
    shifts: tuple = ()
    spec_masks: tuple | None = None


@dataclass(frozen=True)
class ClipSettings:
    """How a video becomes clips.

    Attributes:
        pathways: inputs to make, a subset of slow, fast, audio.
        num_frames, sampling_rate, target_fps: frames of a clip and their distance, see `clips.clip_duration`.
        alpha: Fast's frames per Slow frame; 1 where Slow is alone.
        scales, crop: short side and crop in training; the smallest scale serves validation.
        test_crop: short side and crop in testing. num_views, num_crops: clips per video and crops per clip there.
        num_classes: with `multi_label`, labels become a vector of 0 and 1 of this length.
        num_samples: training clips out of each video that an epoch visits, from one open file.
        loop_filter: training videos are decoded with the deblocking filter, see `media.VideoReader`.
    """

    pathways: tuple
    num_frames: int
    sampling_rate: int
    target_fps: float
    alpha: int
    scales: tuple
    crop: int
    test_crop: int
    num_views: int
    num_crops: int
    num_classes: int
    multi_label: bool = False
    flip: bool = True
    inverse_scale: bool = False
    bgr: bool = False
    rand_augment: object = None
    colour: object = None
    audio: AudioSettings | None = None
    seed: int = 0
    num_samples: int = 1
    max_replacements: int = 1000
    loop_filter: bool = True

    @property
    def duration(self):
        """Seconds a clip covers."""
        return clips.clip_duration(self.num_frames, self.sampling_rate, self.target_fps)


class _Drawn(NamedTuple):
    """What was drawn for a training clip: the generator for what is drawn later, its start in seconds, how its pictures are changed."""

    rng: np.random.Generator
    start: float
    geometry: transforms.Recorded | None
    flip: bool


def open_record(record, loop_filter=True):
    """A reader of a record's pictures and sound; the pictures may be a folder of frames. loop_filter: see `media.VideoReader`."""
    return open_media(record.path, record.sound, record.frame_rate, loop_filter)


class VideoDataset(Dataset):
    """Clips of a list of videos.

    A training sample is one clip: "slow", "fast" [3, T, H, W] uint8; "audio" [1, T, F] (or "waveform" [N]), "audio_mask" (False: the file
    has no sound there); "label", "index" (of the video that was read), "path", "start" (seconds). It may have "audio_hard_negative".
    With several clips a video (`num_samples`) it is a list of these.
    A validation sample is the centred clip. A test sample has all views of a video: a first axis of views x crops, or of views for the sound
    where "audio_index" says which of them each clip hears.

    A file that cannot be decoded: in training the next readable one of the epoch's order takes its place, and "failures" names it
    [(path, reason)]; in validation and test the sample holds "failure" (the reason) in place of clips.

    Args:
        records: list of `Record`.
        settings: `ClipSettings`.
        split: train | val | test.
        class_names: names in order of the class ids, or None; {classifier: names} for several classifiers.

    A subclass reads a data set's label files in `from_source(source, split, settings)`. Its `heads` are the classifiers that its labels
    can feed, its `multi_label` is what DATA.MULTI_LABEL has to be (None: either), `boxes` says that its labels belong to boxes.
    """

    heads = ()
    multi_label = None
    boxes = False

    def __init__(self, records, settings, split, class_names=None):
        self.records = records
        self.settings = settings
        self.split = split
        self.class_names = class_names

    def __len__(self):
        return len(self.records)

    def keep_fraction(self, share, seed):
        """Keep a share of the records, chosen by `seed`; their order stays. Where each has one label, the share is that of every label."""
        groups = {}
        for i, record in enumerate(self.records):
            groups.setdefault(record.label if isinstance(record.label, int) else -1, []).append(i)
        kept = set()
        for label, members in sorted(groups.items()):
            order = generator(seed, label, "fraction").permutation(len(members))
            kept.update(members[i] for i in order[: max(round(share * len(members)), 1)])
        self.records = [record for i, record in enumerate(self.records) if i in kept]

    def __getitem__(self, key):
        from ..loading.samplers import SampleKey

        if not isinstance(key, SampleKey):
            key = SampleKey(int(key), 0, int(key))
        if self.split == "train":
            return self._train_sample(key)
        return self._eval_sample(key.index)

    def label(self, index, span=None):
        """The label of a record as a tensor: an id [], one a classifier [H], or a vector of 0 and 1 [K].

        Args:
            span: (start, stop) of a training clip, seconds from the beginning of its video; None for the whole record.
        """
        label = self.records[index].label
        if not self.settings.multi_label:
            return torch.tensor(label)
        vector = torch.zeros(self.settings.num_classes)
        vector[list(label)] = 1.0
        return vector

    def _about(self, index, span=None):
        return {"label": self.label(index, span), "index": torch.tensor(index), "path": self.records[index].path}

    def _train_sample(self, key):
        from ..loading.samplers import epoch_order

        order, failures = None, []
        index = key.index
        for attempt in range(min(len(self), self.settings.max_replacements)):
            if attempt:
                order = epoch_order(self.settings.seed, key.epoch, len(self)) if order is None else order
                index = int(order[(key.position + attempt) % len(self)])
            try:
                clips_of_one = self._read_train(index, key.epoch)
            except DecodeError as error:
                failures.append((self.records[index].path, str(error)))
                continue
            samples = [{**clip, **self._about(index, span), "failures": []} for clip, span in clips_of_one]
            samples[0]["failures"] = failures
            return samples[0] if self.settings.num_samples == 1 else samples
        raise DecodeError(
            f"no readable file among {len(failures)} tried; the first: {failures[0][1]}; the last: {failures[-1][1]}"
        )

    def _read_train(self, index, epoch):
        """The training clips of a record, `num_samples` of them: [(clip, its span in seconds from the beginning of the video)]."""
        s, record = self.settings, self.records[index]
        with open_record(record, s.loop_filter) as reader:
            begin, end = self._bounds(record, reader)
            drawn = [
                self._draw(begin, end, generator(s.seed, epoch, index, *([n] if n else []), "clip"))
                for n in range(s.num_samples)
            ]
            # What the clips of a file share is decoded once.
            frames = (
                [f.pixels for f in reader.read_clips([(self._times(d.start, record, end), d.geometry) for d in drawn])]
                if self._has_pictures
                else [None] * len(drawn)
            )
            made = [self._make(reader, index, epoch, d, pixels) for d, pixels in zip(drawn, frames)]
            return [
                (clip, (d.start - reader.video.start, d.start - reader.video.start + s.duration))
                for clip, d in zip(made, drawn)
            ]

    def _bounds(self, record, reader):
        """Where a record begins and ends on the presentation clock, seconds.

        Raises:
            DecodeError: a segment that begins after the end of its video.
        """
        begin, end = reader.video.start, reader.video.end
        if record.span is None:
            return begin, end
        first, last = begin + record.span[0], min(begin + record.span[1], end)
        if first >= end:
            raise DecodeError(
                f"{record.path}: the segment {record.span[0]:.2f}-{record.span[1]:.2f} s lies after its end at {end - begin:.2f} s"
            )
        return first, max(last, first)

    def _draw(self, begin, end, rng):
        s = self.settings
        start = clips.random_start(begin, end, s.duration, rng)
        if not self._has_pictures:
            return _Drawn(rng, start, None, False)
        geometry = transforms.Recorded(transforms.random_crop(rng, s.scales, s.crop, s.inverse_scale))
        return _Drawn(rng, start, geometry, s.flip and rng.random() < 0.5)

    def _make(self, reader, index, epoch, drawn, frames):
        """A training clip as tensors, out of its frames [T, H, W, 3] and the open file."""
        s, clip = self.settings, {"start": torch.tensor(drawn.start, dtype=torch.float64)}
        if frames is not None:
            clip.update(self._pictures(transforms.to_tensor(self._augment(frames, drawn.rng), drawn.flip, s.bgr)))
            clip.update(self._beside_pictures(index, drawn.geometry.geometry, drawn.flip))
        if s.audio:
            clip.update(self._sound(reader, drawn.start))
            clip.update(self._hard_negative(reader, drawn.start, epoch, drawn.rng))
            self._mask_spectrogram(clip, drawn.rng)
        return clip

    def _augment(self, frames, rng):
        return self.settings.rand_augment(frames, rng) if self.settings.rand_augment else frames

    def _beside_pictures(self, index, geometry, flip):
        """What a training clip has beside pictures and sound, once it is known how the pictures were changed."""
        return {}

    def _eval_sample(self, index):
        try:
            sample = self.read_views(index)
        except DecodeError as error:
            sample = {"failure": str(error)}
        return {**sample, **self._about(index)}

    def read_views(self, index):
        """The clips of a video as in validation or testing, without its label.

        Raises:
            DecodeError: the file cannot be read.
        """
        s = self.settings
        views, crops = (s.num_views, s.num_crops) if self.split == "test" else (1, 1)
        record = self.records[index]
        with open_record(record) as reader:
            begin, end = self._bounds(record, reader)
            sample = self.clips_at(reader, index, clips.view_starts(begin, end, s.duration, views), end, crops)
        return {name: value[0] for name, value in sample.items()} if self.split == "val" else sample

    def clips_at(self, reader, index, starts, end, crops=1):
        """Clips of an open video as in testing, in order of start, then crop: a first axis of starts x crops (see the class for the sound).

        Args:
            reader: of record `index`. starts: seconds on its clock, ascending. end: of the record.
        """
        s, record = self.settings, self.records[index]
        parts, sounds = [], []
        if self._has_pictures:
            parts = self._eval_pictures(reader, [self._times(start, record, end) for start in starts], crops)
        if s.audio:
            sounds = [
                {**self._sound(reader, start), **self._measured_sounds(reader, start, index, view)}
                for view, start in enumerate(starts)
            ]
            if not parts or crops == 1:
                parts, sounds = [{**p, **a} for p, a in zip(parts or [{}] * len(sounds), sounds)], []
        per_start = len(parts) // len(starts)
        for i, part in enumerate(parts):
            part["start"] = torch.tensor(starts[i // per_start], dtype=torch.float64)
        sample = {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
        if sounds:
            # The crops of a clip hear the same: it is read, and goes through the network, once.
            sample.update({name: torch.stack([sound[name] for sound in sounds]) for name in sounds[0]})
            sample["audio_index"] = torch.arange(len(starts)).repeat_interleave(per_start)
        return sample

    def _eval_pictures(self, reader, times, crops):
        """Clips in order of view, then crop. The video is decoded once for all of them."""
        s = self.settings
        test = self.split == "test"
        geometry = transforms.only_scale(s.test_crop) if test else transforms.centre_crop(s.scales[0], s.crop)
        flat = sorted({t for clip in times for t in clip})
        frames = reader.read_frames(flat, geometry).pixels
        place = {t: i for i, t in enumerate(flat)}
        parts = []
        for clip in times:
            whole = frames[[place[t] for t in clip]]
            pieces = transforms.spatial_crops(whole, s.test_crop, crops) if test else [whole]
            parts += [self._pictures(transforms.to_tensor(piece, bgr=s.bgr)) for piece in pieces]
        return parts

    @property
    def _has_pictures(self):
        return "slow" in self.settings.pathways

    def _times(self, start, record, end):
        s = self.settings
        times = clips.frame_times(start, s.num_frames, s.sampling_rate, s.target_fps)
        # A segment shorter than a clip shows its last picture on, as the literature does; what follows it may be another action.
        return times if record.span is None else np.minimum(times, end)

    def _pictures(self, clip):
        s = self.settings
        if "fast" not in s.pathways:
            return {"slow": clip}
        return {"slow": clip[:, torch.from_numpy(clips.slow_indices(s.num_frames, s.alpha))], "fast": clip}

    def _span(self, start):
        a = self.settings.audio
        return clips.audio_span(start, self.settings.duration, a.num_frames, a.window, a.step)

    def _spectrogram(self, samples, name):
        """{"audio...": spectrogram} or, where the device computes it, {"waveform...": samples}."""
        waveform = torch.from_numpy(samples)
        if self.settings.audio.on_device:
            return {name.replace("audio", "waveform"): waveform}
        with torch.no_grad():
            return {name: self.settings.audio.front_end(waveform)}

    def _sound(self, reader, start):
        samples, heard = reader.read_audio(*self._span(start), self.settings.audio.sample_rate)
        return {**self._spectrogram(samples, "audio"), "audio_mask": torch.tensor(heard)}

    def _hard_negative(self, reader, start, epoch, rng):
        samples = training_negative(reader, *self._span(start), self.settings.audio, epoch, rng)
        return {} if samples is None else self._spectrogram(samples, "audio_hard_negative")

    def _measured_sounds(self, reader, start, index, view):
        """Shifted and unrelated sound of an evaluation clip, where synchronisation is measured."""
        a = self.settings.audio
        if not a.shifts:
            return {}
        found = measured_sounds(reader, *self._span(start), a, generator(self.settings.seed, index, view, "sync"))
        masks = {f"audio_{name}": torch.from_numpy(found[name]) for name in ("shifts_mask", "hard_mask")}
        return {
            **self._spectrogram(found["shifts"], "audio_shifts"),
            **self._spectrogram(found["hard"], "audio_hard"),
            **masks,
        }

    def _mask_spectrogram(self, sample, rng):
        a = self.settings.audio
        if a.spec_masks is None:
            return
        masks = draw_spec_masks(rng, *a.spec_masks, a.num_frames, a.num_mels)
        if a.on_device:
            sample["spec_masks"] = masks
        else:
            sample["audio"] = apply_spec_masks(sample["audio"], masks)

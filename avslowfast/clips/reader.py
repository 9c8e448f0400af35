"""Clips of an open video as tensors: training clips, the validation clip, test views, clips at given starts.

One clip, as tensors of a sample; what the network's pathways do not take is left out:

    "slow", "fast"      uint8 [3, T / alpha, H, W] and [3, T, H, W]
    "audio"             float32 [1, T_A, F], normalised log-mel
    "waveform"          float32 [N], in place of "audio" where the training device makes the spectrogram
    "audio_mask"        bool [], False where the file has no audio in the clip's span
    "start"             float64 [], presentation time of the clip's first frame, seconds

In training further "audio_hard_negative" (a share of the clips, see `negatives`) and "spec_masks" (masks of SpecAugment
that the device applies). Where synchronisation is measured, evaluation clips have "audio_shifts" [S, 1, T_A, F] with
"audio_shifts_mask" [S], and "audio_hard" with "audio_hard_mask".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..config.multigrid import Shape
from ..media import DecodeError, MediaReader, open_media
from ..media.pixels import ChooseGeometry, Geometry
from ..media.storage import configure
from ..media.streams import PathLike
from ..utils.arguments import ArgumentError, whole
from ..utils.seeding import generator
from . import spans, transforms
from .logmel import apply_spec_masks, draw_spec_masks
from .negatives import measured_audio, training_negative
from .settings import AudioSettings, ClipSettings

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TrainingClip:
    """A training clip and how it was cut.

    Attributes:
        tensors: See the module.
        span: Its start and stop, seconds from the beginning of the video.
        geometry: Scale and crop of its frames, None without frames.
        flip: Whether its frames are flipped left to right.
    """

    tensors: Tensors
    span: tuple[float, float]
    geometry: Geometry | None
    flip: bool


@dataclass(frozen=True)
class CentredClip:
    """A clip around an instant.

    Attributes:
        tensors: See the module.
        geometry: Scale and crop of its frames.
    """

    tensors: Tensors
    geometry: Geometry


@dataclass(frozen=True)
class _Draw:
    """What is drawn for a training clip before its file is read.

    `rng` draws what comes later; `cuts` has the sampling rate that was drawn.
    """

    rng: np.random.Generator
    start: float
    geometry: transforms.RecordedGeometry
    flip: bool
    cuts: "ClipReader"


class ClipReader:
    """Cuts clips from open videos.

    Every draw depends on the settings' seed, the epoch and the video's index alone.

    Args:
        settings: How a video becomes clips. How remote objects are read counts for the process from then on.
    """

    def __init__(self, settings: ClipSettings) -> None:
        self.settings = settings
        configure(settings.storage)
        self._shaped: dict[Shape, ClipReader] = {}

    def __repr__(self) -> str:
        s = self.settings
        return f"ClipReader({', '.join(s.pathways)}: {s.num_frames} frames in {s.duration:.2f} s)"

    def shaped(self, shape: Shape | None) -> "ClipReader":
        """A reader for training clips in a shape of multigrid; None is the configured one."""
        if shape is None:
            return self
        if shape not in self._shaped:
            self._shaped[shape] = ClipReader(self.settings.in_shape(shape))
        return self._shaped[shape]

    def open(
        self, path: PathLike, audio_path: PathLike = "", frame_rate: float = 0.0, training: bool = False
    ) -> MediaReader:
        """Open what clips are cut from; where no pathway takes frames, any file with sound will do.

        Args:
            path: A file or a folder of frames.
            audio_path: See `media.open_media`.
            frame_rate: See `media.open_media`.
            training: Training clips are cut, for which `settings.loop_filter` counts.

        Raises:
            DecodeError: It cannot be read.
        """
        s = self.settings
        return open_media(path, audio_path, frame_rate, s.loop_filter or not training, s.has_frames, s.max_pixels)

    # ---- Where clips lie ---------------------------------------------------------------------------------------------

    def bounds(self, reader: MediaReader, span: tuple[float, float] | None = None) -> tuple[float, float]:
        """Where a segment begins and ends on the presentation clock.

        Args:
            reader: The open video.
            span: Start and stop of the segment in seconds from the beginning of the video; None is all of it.

        Returns:
            Seconds.

        Raises:
            DecodeError: The segment begins after the end of its video.
        """
        if span is None:
            return reader.extent.start, reader.extent.end
        begin, end = reader.clock.start, max(reader.clock.end, reader.extent.end)
        first, last = begin + span[0], min(begin + span[1], end)
        if first >= end:
            raise DecodeError(
                f"the segment {span[0]:.2f}-{span[1]:.2f} s lies after its end at {end - begin:.2f} s", reader.path
            )
        return first, max(last, first)

    def centred_start(self, reader: MediaReader, instant: float) -> float:
        """Presentation time at which the clip around an instant begins.

        Args:
            reader: The open video.
            instant: Seconds from the beginning of the video.
        """
        return reader.clock.start + instant - self.settings.duration / 2

    def frame_times(self, start: float, end: float | None = None) -> NDArray[np.float64]:
        """The instants of a clip's frames, seconds, ascending [T].

        Args:
            start: Presentation time of the first one, seconds.
            end: Nothing after this is shown: a segment shorter than a clip repeats its last frame, as in the
                literature, because what follows it may be another action. None shows what follows.
        """
        s = self.settings
        times = spans.frame_times(start, s.num_frames, s.sampling_rate, s.target_fps)
        if end is None:
            return times
        # The last frame begins before the end.
        return np.minimum(times, max(end - 1 / s.target_fps, start))

    # ---- Training ----------------------------------------------------------------------------------------------------

    def training_clips(
        self,
        reader: MediaReader,
        *,
        epoch: int,
        index: int,
        span: tuple[float, float] | None = None,
        instant: float | None = None,
    ) -> list[TrainingClip]:
        """Random clips of an open video, `settings.num_samples` of them. What they share is decoded once.

        Args:
            reader: The open video.
            epoch: The training's epoch, from 0.
            index: Number of the video in its data set.
            span: Segment that the clips are cut from, seconds from the beginning of the video; None is all of it.
            instant: Centre of the clips, seconds from the beginning of the video, in place of random starts.

        Raises:
            DecodeError: The file cannot be read there.
        """
        s = self.settings
        draws = [
            self._draw(reader, span, instant, generator(s.seed, epoch, index, *([n] if n else []), "clip"))
            for n in range(s.num_samples)
        ]
        last = None if span is None else self.bounds(reader, span)[1]
        clips: list[Tensors] = [{"start": torch.tensor(draw.start, dtype=torch.float64)} for draw in draws]
        if s.has_frames:
            requests = [(draw.cuts.frame_times(draw.start, last), draw.geometry) for draw in draws]
            for clip, draw, frames in zip(clips, draws, reader.read_clips(requests)):
                clip.update(self.visual_inputs(self._augment(frames.pixels, draw.rng), draw.flip))
        if s.audio:
            for clip, draw in zip(clips, draws):
                clip.update(self._training_audio(reader, s.audio, draw, epoch))
        return [
            TrainingClip(
                clip,
                (draw.start - reader.clock.start, draw.start - reader.clock.start + draw.cuts.settings.placed_duration),
                draw.geometry.chosen if s.has_frames else None,
                draw.flip,
            )
            for clip, draw in zip(clips, draws)
        ]

    def _at_some_rate(self, rng: np.random.Generator) -> "ClipReader":
        """A reader with the sampling rate of one clip, as in PySlowFast's multigrid training; else this one."""
        s = self.settings
        if s.longest_rate <= s.sampling_rate:
            return self
        return ClipReader(replace(s, sampling_rate=int(rng.integers(s.sampling_rate, s.longest_rate, endpoint=True))))

    def _draw(
        self, reader: MediaReader, span: tuple[float, float] | None, instant: float | None, rng: np.random.Generator
    ) -> _Draw:
        cuts = self._at_some_rate(rng)
        s = cuts.settings
        if instant is None:
            begin, end = self.bounds(reader, span)
        else:
            begin = cuts.centred_start(reader, instant)
            end = reader.clock.start + instant + s.duration / 2
        start = spans.random_start(begin, end, s.placed_duration, rng, not s.has_frames, s.frame_step)
        if not s.has_frames:
            return _Draw(rng, start, transforms.RecordedGeometry(transforms.only_scale(s.crop)), False, cuts)
        geometry = transforms.RecordedGeometry(transforms.random_crop(rng, s.scales, s.crop, s.inverse_scale))
        return _Draw(rng, start, geometry, s.flip and rng.random() < 0.5, cuts)

    def _augment(self, frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return self.settings.augmentation(frames, rng) if self.settings.augmentation else frames

    def _training_audio(self, reader: MediaReader, audio: AudioSettings, draw: _Draw, epoch: int) -> Tensors:
        """Audio of a training clip, its hard negative where it has one, masked by SpecAugment."""
        tensors = draw.cuts.audio_inputs(reader, draw.start)
        negative = training_negative(reader, *draw.cuts.audio_span(draw.start), audio, epoch, draw.rng)
        if negative is not None:
            tensors.update(_spectrogram(audio, negative, "audio_hard_negative"))
        if audio.spec_masks is not None:
            masks = draw_spec_masks(draw.rng, *audio.spec_masks, audio.num_frames, audio.num_mels)
            if audio.on_device:
                tensors["spec_masks"] = masks
            else:
                tensors["audio"] = apply_spec_masks(tensors["audio"], masks)
        return tensors

    # ---- Evaluation --------------------------------------------------------------------------------------------------

    def validation_clip(
        self, reader: MediaReader, *, index: int = 0, span: tuple[float, float] | None = None
    ) -> Tensors:
        """The clip in the middle of a segment, scaled and cropped as validation does.

        Args:
            reader: The open video.
            index: Number of the video in its data set; draws the hard negative where synchronisation is measured.
            span: The segment, seconds from the beginning of the video; None is all of it.

        Raises:
            DecodeError: The file cannot be read there.
        """
        s = self.settings
        begin, end = self.bounds(reader, span)
        starts = spans.view_starts(begin, end, s.duration, 1, around=not s.has_frames)
        geometry = transforms.centre_crop(s.scales[0], s.crop)
        clips = self._evaluation_clips(reader, starts, None if span is None else end, index, geometry, _whole)
        return {name: value[0] for name, value in clips.items()}

    def test_views(
        self,
        reader: MediaReader,
        *,
        index: int = 0,
        span: tuple[float, float] | None = None,
        num_views: int | None = None,
        num_crops: int | None = None,
    ) -> Tensors:
        """All views of a segment, scaled and cropped as testing does. The video is decoded once for all of them.

        Args:
            reader: The open video.
            index: Number of the video in its data set; draws the hard negatives where synchronisation is measured.
            span: The segment, seconds from the beginning of the video; None is all of it.
            num_views: Clips over the segment's length; None takes the settings'.
            num_crops: Crops of each clip (1 or 3); None takes the settings'.

        Returns:
            See `clips_at`.

        Raises:
            ArgumentError: A number of views or crops that makes no sense.
            DecodeError: The file cannot be read there.
        """
        s = self.settings
        begin, end = self.bounds(reader, span)
        views = s.num_views if num_views is None else whole("views", num_views)
        starts = spans.view_starts(
            begin, end, s.placed_duration, views, s.both_ends, around=not s.has_frames, step=s.frame_step
        )
        crops = s.num_crops if num_crops is None else num_crops
        return self.clips_at(reader, starts, end=None if span is None else end, num_crops=crops, index=index)

    def clips_at(
        self,
        reader: MediaReader,
        starts: Sequence[float] | NDArray[np.float64],
        *,
        end: float | None = None,
        num_crops: int = 1,
        index: int = 0,
    ) -> Tensors:
        """Clips at given starts, scaled and cropped as in testing, in order of start, then crop.

        Args:
            reader: The open video.
            starts: Presentation times, seconds, ascending.
            end: Frames after this presentation time are not shown, see `frame_times`; None shows them.
            num_crops: Crops of each clip (1 or 3).
            index: Number of the video in its data set; draws the hard negatives where synchronisation is measured.

        Returns:
            Tensors with a first axis of starts x crops. With several crops those of the audio have a first axis of
            starts, and "audio_index" [starts x crops] says which of them each clip hears: the audio of a start is
            read, and goes through the network, once.

        Raises:
            ArgumentError: Another number of crops.
            DecodeError: The file cannot be read there.
        """
        s = self.settings
        if whole("crops", num_crops, most=3) == 2:
            raise ArgumentError("crops is 2; give 1 (the centre) or 3 (along the longer side)")

        def crops(frames_THWC: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
            return transforms.spatial_crops(frames_THWC, s.test_crop, num_crops)

        geometry = transforms.view_crops(s.test_crop, num_crops)
        return self._evaluation_clips(reader, np.asarray(starts, np.float64), end, index, geometry, crops)

    def clip_around(self, reader: MediaReader, instant: float, *, whole_frame: bool = True) -> CentredClip:
        """The clip centred on an instant, with its audio, as evaluation of boxes takes it.

        Args:
            reader: The open video.
            instant: Seconds from the beginning of the video.
            whole_frame: Scale the short side to `settings.test_crop` and keep all; else cut a centre crop of
                `settings.crop`.

        Raises:
            DecodeError: The file cannot be read there.
        """
        s = self.settings
        start = self.centred_start(reader, instant)
        choose = transforms.only_scale(s.test_crop) if whole_frame else transforms.centre_crop(s.crop, s.crop)
        geometry = transforms.RecordedGeometry(choose)
        tensors = self.visual_inputs(reader.read_frames(self.frame_times(start), geometry).pixels)
        if s.audio:
            tensors.update(self.audio_inputs(reader, start))
        tensors["start"] = torch.tensor(start, dtype=torch.float64)
        return CentredClip(tensors, geometry.chosen)

    def _evaluation_clips(
        self,
        reader: MediaReader,
        starts: NDArray[np.float64],
        end: float | None,
        index: int,
        geometry: ChooseGeometry,
        crops: Callable[[NDArray[np.uint8]], list[NDArray[np.uint8]]],
    ) -> Tensors:
        """Clips at given starts, each with the crops that `crops` makes of its frames; see `clips_at`."""
        s = self.settings
        visual = self._evaluation_frames(reader, starts, end, geometry, crops) if s.has_frames else []
        audio = [self._evaluation_audio(reader, float(start), index, view) for view, start in enumerate(starts)]
        per_start = len(visual) // len(starts) if visual else 1
        sample = _stack(visual) if visual else {}
        sample["start"] = torch.as_tensor(np.repeat(starts, per_start))
        if s.audio:
            sample.update(_stack(audio))
            if per_start > 1:
                sample["audio_index"] = torch.arange(len(starts)).repeat_interleave(per_start)
        return sample

    def _evaluation_frames(
        self,
        reader: MediaReader,
        starts: NDArray[np.float64],
        end: float | None,
        geometry: ChooseGeometry,
        crops: Callable[[NDArray[np.uint8]], list[NDArray[np.uint8]]],
    ) -> list[Tensors]:
        """Visual inputs in order of start, then crop. Frames that several clips show are converted once."""
        times = [self.frame_times(float(start), end) for start in starts]
        all_times, place = np.unique(np.concatenate(times), return_inverse=True)
        pixels = reader.read_frames(all_times, geometry).pixels
        clips = place.reshape(len(times), -1)
        return [self.visual_inputs(frames) for indices in clips for frames in crops(pixels[indices])]

    def _evaluation_audio(self, reader: MediaReader, start: float, index: int, view: int) -> Tensors:
        """Audio of an evaluation clip, with shifted and unrelated audio where synchronisation is measured."""
        audio = self.settings.audio
        if audio is None:
            return {}
        tensors = self.audio_inputs(reader, start)
        if audio.shifts:
            rng = generator(self.settings.seed, index, view, "sync")
            measured = measured_audio(reader, *self.audio_span(start), audio, rng)
            tensors.update(_spectrogram(audio, measured.shifts, "audio_shifts"))
            tensors.update(_spectrogram(audio, measured.hard, "audio_hard"))
            tensors["audio_shifts_mask"] = torch.from_numpy(measured.shifts_mask)
            tensors["audio_hard_mask"] = torch.from_numpy(measured.hard_mask)
        return tensors

    # ---- One clip's inputs -------------------------------------------------------------------------------------------

    def visual_inputs(self, frames_THWC: NDArray[np.uint8], flip: bool = False) -> Tensors:
        """The visual pathways' inputs out of a clip's frames.

        Args:
            frames_THWC: RGB frames at the clip's instants, [T, H, W, 3].
            flip: Flip left to right.

        Returns:
            "slow", and "fast" where the network has it: uint8 [3, T / alpha, H, W] and [3, T, H, W].
        """
        s = self.settings
        clip = transforms.to_tensor(frames_THWC, flip, s.bgr)
        if "fast" not in s.pathways:
            return {"slow": clip}
        return {"slow": clip[:, torch.from_numpy(spans.slow_indices(s.num_frames, s.alpha))], "fast": clip}

    def audio_span(self, start: float) -> tuple[float, float]:
        """The span of audio of the clip that begins at `start`: (start, length) in seconds.

        Raises:
            ValueError: The network has no audio pathway.
        """
        audio = self._audio_settings()
        return spans.audio_span(start, self.settings.duration, audio.num_frames, audio.window, audio.step)

    def audio_inputs(self, reader: MediaReader, start: float) -> Tensors:
        """The audio pathway's input for the clip that begins at `start`, a presentation time in seconds.

        Args:
            reader: The open video.
            start: Presentation time of the clip's first frame, seconds.

        Returns:
            "audio" or "waveform", and "audio_mask".

        Raises:
            DecodeError: There is audio, but it cannot be decoded.
            ValueError: The network has no audio pathway.
        """
        audio = self._audio_settings()
        samples, has_audio = reader.read_audio(*self.audio_span(start), audio.sample_rate)
        return {**_spectrogram(audio, samples, "audio"), "audio_mask": torch.tensor(has_audio)}

    def _audio_settings(self) -> AudioSettings:
        if self.settings.audio is None:
            raise ValueError("these settings have no audio: the network has no audio pathway")
        return self.settings.audio


def _whole(frames_THWC: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [frames_THWC]


def _stack(clips: list[Tensors]) -> Tensors:
    return {name: torch.stack([clip[name] for clip in clips]) for name in clips[0]}


def _spectrogram(audio: AudioSettings, samples: NDArray[np.float32], name: str) -> Tensors:
    """{"audio...": spectrogram} or, where the device computes it, {"waveform...": samples}."""
    waveform = torch.from_numpy(samples)
    if audio.on_device:
        return {name.replace("audio", "waveform"): waveform}
    with torch.no_grad():
        return {name: audio.front_end(waveform)}

"""How a video becomes clips: plain numbers, without the configuration they come from."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..config.multigrid import Shape
from ..media.storage import StorageSettings
from ..media.streams import MAX_PIXELS
from . import spans
from .logmel import AudioFrontEnd

# A random change of a clip's frames: (uint8 [T, H, W, 3], generator) -> the same shape.
Augmentation = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


@dataclass(frozen=True)
class AudioSettings:
    """How a clip's audio becomes input.

    Attributes:
        front_end: Waveform [..., N] -> [..., 1, T, F].
        sample_rate: Rate at which audio is read, Hz.
        window: Length of a spectrogram window, seconds.
        step: From one window to the next, seconds.
        num_frames: Spectrogram frames of the input, T.
        num_mels: Mel bands, F.
        on_device: Leave the waveform as it is; the training device applies the front end.
        hard_negatives: Training may read audio of the same video from another time.
        hard_from_epoch: Epoch from which it does; a fraction serves as well.
        easy_ratio: Share of the clips that keep an easy negative.
        min_gap: Smallest distance of a hard negative's start from the clip's, seconds.
        super_hard_ratio: Share of the hard negatives that overlap the clip's audio.
        super_hard_gap: Smallest distance of such a start from the clip's, seconds.
        shifts: Seconds, ascending; evaluation clips get their audio at these shifts, and a hard negative, for the
            synchronisation metrics. () reads neither.
        spec_masks: (masks, longest in frames, widest in bands) of SpecAugment, or None.
    """

    front_end: AudioFrontEnd
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
    shifts: tuple[float, ...] = ()
    spec_masks: tuple[int, int, int] | None = None

    def with_frames(self, num_frames: int) -> "AudioSettings":
        """The same settings for a spectrogram of another number of frames; time masks keep their share of it."""
        masks = self.spec_masks
        if masks is not None:
            masks = (masks[0], round(masks[1] * num_frames / self.num_frames), masks[2])
        front_end = self.front_end.with_frames(num_frames)
        return replace(self, front_end=front_end, num_frames=num_frames, spec_masks=masks)


@dataclass(frozen=True)
class ClipSettings:
    """How a video becomes clips.

    Attributes:
        pathways: Inputs to make, a subset of slow, fast, audio.
        num_frames: Frames of a clip.
        sampling_rate: Frames at `target_fps` from one frame of a clip to the next.
        target_fps: Frame rate that `sampling_rate` refers to, Hz.
        alpha: Fast's frames per Slow frame; 1 where Slow is alone.
        scales: Smallest and largest short side in training, pixels; the smallest serves validation.
        crop: Side of the crop in training and validation, pixels.
        test_crop: Short side and side of the crop in testing, pixels.
        num_views: Clips per video in testing.
        num_crops: Crops per clip in testing.
        both_ends: Whether the last view in testing ends with the video, see `spans.view_starts`.
        whole_frames: Clips begin on whole frames at `target_fps`, counted from the beginning of the video, and take the
            time from their first frame to the end of their last one.
        flip: Flip training clips left to right at random.
        inverse_scale: Draw 1 / short side evenly.
        bgr: Channels in the order B, G, R.
        augmentation: Random change of the frames in training, or None.
        audio: How audio becomes input; None where the network has no audio pathway.
        seed: Of every draw.
        num_samples: Training clips out of each video that an epoch visits, from one open file.
        loop_filter: Whether training videos are opened with H.264's deblocking filter, see `media.open_media`.
        max_pixels: Of the largest frame that is decoded.
        storage: How remote objects are read.
        longest_rate: The sampling rate of a training clip is drawn from `sampling_rate` to this; 0 draws none.
    """

    pathways: tuple[str, ...]
    num_frames: int
    sampling_rate: int
    target_fps: float
    alpha: int
    scales: tuple[int, int]
    crop: int
    test_crop: int
    num_views: int
    num_crops: int
    flip: bool = True
    inverse_scale: bool = False
    bgr: bool = False
    augmentation: Augmentation | None = None
    audio: AudioSettings | None = None
    seed: int = 0
    num_samples: int = 1
    both_ends: bool = True
    whole_frames: bool = False
    loop_filter: bool = True
    max_pixels: int = MAX_PIXELS
    storage: StorageSettings = StorageSettings()
    longest_rate: int = 0

    def in_shape(self, shape: Shape) -> "ClipSettings":
        """The settings of training clips in a shape of multigrid.

        A smaller crop comes from frames of a smaller shortest side, down to the same share of the scene. Fewer frames
        come with fewer spectrogram frames, in the same proportion: audio meets Slow's frames as in the full shape, and
        where the sampling rate is higher, both are further apart.
        """
        smallest = round(self.scales[0] * shape.crop / self.crop) if self.has_frames else self.scales[0]
        audio = self.audio and self.audio.with_frames(self.audio.num_frames * shape.frames // self.num_frames)
        return replace(
            self,
            num_frames=shape.frames,
            crop=shape.crop,
            scales=(smallest, self.scales[1]),
            audio=audio,
            longest_rate=shape.longest_rate,
        )

    @property
    def duration(self) -> float:
        """Seconds that a clip covers; without frames at least those of its spectrogram."""
        duration = spans.clip_duration(self.num_frames, self.sampling_rate, self.target_fps)
        if self.audio is None or self.has_frames:
            return duration
        return spans.audio_span(0.0, duration, self.audio.num_frames, self.audio.window, self.audio.step)[1]

    @property
    def frame_step(self) -> float:
        """Seconds of a frame, on which clips begin; 0 where they begin at any instant."""
        return 1 / self.target_fps if self.whole_frames and self.has_frames else 0.0

    @property
    def placed_duration(self) -> float:
        """Seconds that a clip takes of a video when its start is chosen."""
        if self.frame_step:
            return ((self.num_frames - 1) * self.sampling_rate + 1) * self.frame_step
        return self.duration

    @property
    def has_frames(self) -> bool:
        """Whether some pathway takes frames."""
        return "slow" in self.pathways

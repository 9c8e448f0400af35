"""A downloaded video as a file that is quick to read: short side 256, a key frame a second, sound kept where it was.

Both streams keep their presentation times, so sound that begins late begins late in the new file too.
"""

import os
from fractions import Fraction

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from .decode import decoded_frames, DecodeError, reason_of
from .pixels import Scaler

# Finer than any frame rate, and what mp4 files usually count in.
_CLOCK = Fraction(1, 90000)
# Seconds without sound that count as a gap.
_GAP = 0.02


def target_size(height, width, short_side):
    """(height, width) with `short_side` pixels on the short side, both even; smaller pictures keep their size."""
    scale = min(short_side / min(height, width), 1.0)
    return tuple(max(2 * round(side * scale / 2), 2) for side in (height, width))


def transcode(source, out, short_side=256, span=None, crf=23, painter=None):
    """Write a video anew as H.264 and AAC in mp4, whole or not at all.

    Args:
        source: file to read. out: file to write, through a file beside it that is renamed at the end.
        short_side: pixels; pictures are never enlarged. Display rotation is applied.
        span: (start, stop) in seconds on the file's clock; the new file begins at second 0 of it. None keeps all, and its times.
        crf: quality of x264, lower is better.
        painter: changes the pictures: `size(height, width)` gives those of the new ones, both even, and `paint(pixels, seconds)` makes one from the
            scaled RGB pixels [H, W, 3].

    Returns:
        {"seconds": length, "sound": bool, "damaged": packets that could not be decoded}.

    Raises:
        DecodeError: the file cannot be read, or holds no pictures there.
    """
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    part = f"{out}.{os.getpid()}.part"
    try:
        with av.open(str(source)) as container, av.open(part, "w", format="mp4") as target:
            found = _Transcoder(container, target, str(source), short_side, span, crf, painter).run()
        os.replace(part, out)
        return found
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DecodeError(f"{source}: {reason_of(error)}") from None
    finally:
        if os.path.exists(part):
            os.remove(part)


class _Transcoder:
    """One file on its way into another."""

    def __init__(self, source, target, path, short_side, span, crf, painter):
        self.source, self.target, self.path, self.painter = source, target, path, painter
        self.span = span or (-float("inf"), float("inf"))
        # Seconds that are taken off every time stamp.
        self.origin = span[0] if span else 0.0
        self.video = source.streams.best("video")
        if self.video is None:
            raise DecodeError(f"{path}: no video stream in it")
        self.audio = source.streams.best("audio", related=self.video)
        self.video.thread_type = "AUTO"
        self.scaler, self.rgb, self.last_key, self.last_pts = VideoReformatter(), Scaler(), None, None
        self.damaged, self.pictures, self.end = 0, 0, 0.0
        # Both streams have to exist before the first packet is written.
        self._add_video(short_side, crf)
        self.out_audio = self.resampler = self.next_sample = None
        if self.audio is not None:
            self._add_audio()

    def _add_video(self, short_side, crf):
        first = next((frame for _, frame in self._frames(self.video)), None)
        if first is None:
            raise DecodeError(f"{self.path}: no picture could be decoded")
        shown = (first.width, first.height) if first.rotation % 180 else (first.height, first.width)
        self.size = target_size(*shown, short_side)
        # Key frames are asked for by time; the encoder adds none of its own.
        options = {"preset": "veryfast", "crf": str(crf), "forced-idr": "1", "sc_threshold": "0", "threads": "1"}
        self.out_video = self.target.add_stream("libx264", rate=self.video.average_rate or 25, options=options)
        shape = self.painter.size(*self.size) if self.painter else self.size
        self.out_video.height, self.out_video.width, self.out_video.pix_fmt = *shape, "yuv420p"
        self.out_video.codec_context.time_base, self.out_video.codec_context.gop_size = _CLOCK, 1000
        self.source.seek(0, backward=True)

    def _add_audio(self):
        rate = min(self.audio.codec_context.sample_rate or 44100, 48000)
        layout = "stereo" if self.audio.codec_context.layout.nb_channels > 1 else "mono"
        self.out_audio = self.target.add_stream("aac", rate=rate, layout=layout)
        self.resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate, frame_size=1024)

    def run(self):
        """See `transcode`."""
        if self.span[0] > 0:
            self.source.seek(int(self.span[0] / self.video.time_base), stream=self.video, backward=True)
        for stream, frame in self._frames(*[stream for stream in (self.video, self.audio) if stream is not None]):
            time = float(frame.pts * frame.time_base)
            if stream == self.video and time > self.span[1] + 1:
                break
            if self.span[0] <= time < self.span[1]:
                (self._picture if stream == self.video else self._sound)(frame, time - self.origin)
        if not self.pictures:
            raise DecodeError(f"{self.path}: no picture in it between {self.span[0]:.0f} and {self.span[1]:.0f} s")
        self._mux(self.out_video.encode(None))
        if self.next_sample is not None:
            self._resampled(None)
            self._mux(self.out_audio.encode(None))
        return {"seconds": self.end, "sound": self.next_sample is not None, "damaged": self.damaged}

    def _frames(self, *streams):
        return decoded_frames(self.source, streams, self.path, self._count_damage)

    def _count_damage(self):
        self.damaged += 1

    def _mux(self, packets):
        for packet in packets:
            self.target.mux(packet)

    def _picture(self, frame, time):
        pts = round(time / _CLOCK)
        if self.last_pts is not None and pts <= self.last_pts:
            # Two pictures for one instant; the first has been written.
            return
        if self.painter or frame.rotation:
            pixels = self.rgb.picture(frame, self.size)
            picture = av.VideoFrame.from_ndarray(
                self.painter.paint(pixels, time) if self.painter else pixels, format="rgb24"
            )
            picture = self.scaler.reformat(picture, format="yuv420p")
        else:
            picture = self.scaler.reformat(frame, self.size[1], self.size[0], "yuv420p", interpolation="BILINEAR")
        picture.pts, picture.time_base, self.last_pts = pts, _CLOCK, pts
        second = int(np.floor(time))
        picture.pict_type = PictureType.I if second != self.last_key else PictureType.NONE
        self.last_key = second
        self.pictures += 1
        self.end = time + 1.0 / float(self.video.average_rate or 25)
        self._mux(self.out_video.encode(picture))

    def _sound(self, frame, time):
        rate = frame.sample_rate
        at = round(time * rate)
        if self.next_sample is None:
            self.next_sample = at
        # Time stamps are rounded (to a millisecond in Matroska), which is no gap; a real one is filled, so that what follows keeps its place.
        if at - self.next_sample > _GAP * rate:
            silence = av.AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=at - self.next_sample)
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            silence.sample_rate = rate
            self._place(silence)
        elif self.next_sample - at > _GAP * rate:
            return
        self._place(frame)

    def _place(self, frame):
        frame.pts, frame.time_base = self.next_sample, Fraction(1, frame.sample_rate)
        self.next_sample += frame.samples
        self._resampled(frame)

    def _resampled(self, frame):
        for piece in self.resampler.resample(frame):
            self._mux(self.out_audio.encode(piece))

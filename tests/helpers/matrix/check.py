"""What is true of a rendered file, and whether the project gives it."""

import dataclasses
import functools
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from avslowfast.clips import ClipReader
from avslowfast.loading.build import clip_settings
from avslowfast.media import transcode, VideoReader
from avslowfast.media.plan import is_exact
from benchmarks.torchcodec_clips import frames_at
from helpers import tiny_cfg

from .cases import CODECS, CONTAINERS, GUESSED, SOUNDS
from .render import noise, number_of, render, SIZE, SOUND_RATE

# Seconds by which a container may round a time stamp.
_TICK = 0.002
_RATE = 16000


@dataclass
class Result:
    """What was found in one file.

    Attributes:
        case: Which file.
        frames: Frames that were compared.
        wrong_frames: Those of them that are wrong.
        wrong: For each fault what was asked for, and what came.
        sound_ms: Milliseconds by which sound is late at worst.
        prepared_ms: The same after `transcode`, against what was read of the source.
        planned: Whether frames are decoded by plan.
    """

    case: object
    frames: int = 0
    wrong_frames: int = 0
    wrong: list = field(default_factory=list)
    sound_ms: float = 0.0
    prepared_ms: float = 0.0
    planned: bool = False


@dataclass(frozen=True)
class Truth:
    """When which frame is on screen.

    Attributes:
        numbers: Of the frames that are shown, in order.
        times: When each begins, on the file's clock, seconds.
        sound_start: Time of the first sample, seconds.
        slack: Frames by which numbers may be off.
        constant: Whether all of them have to be off by the same number.
    """

    numbers: list
    times: np.ndarray
    sound_start: float
    slack: int = 0
    constant: bool = True

    @property
    def usual(self):
        """Length of a usual frame, seconds."""
        return float(np.median(np.diff(self.times)))

    def at(self, time):
        """Numbers that are right at an instant: the last one whose time has come, within half a usual frame."""
        places = [
            np.searchsorted(self.times, time + 0.5 * self.usual + eps, side="right") - 1 for eps in (-_TICK, _TICK)
        ]
        return {self.numbers[int(np.clip(place, 0, len(self.numbers) - 1))] for place in places}


_GREY = VideoReformatter()


def _number(frame):
    return number_of(_GREY.reformat(frame, format="gray").to_ndarray())


def straight(path):
    """[(number, time stamp)] of all frames by plain decoding."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [
            (_number(frame), None if frame.pts is None else float(frame.pts * frame.time_base))
            for frame in container.decode(stream)
        ]
    return frames


def _places(path):
    """Times of the packets of a file that stores their order alone."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.video[0])
        return np.array([float(packet.dts * packet.time_base) for packet in packets if packet.size])


def truth_of(case, path):
    """The truth of a file, from how it was rendered and the shift of the clock that straight decoding shows.

    Also what is wrong with straight decoding itself.
    """
    times, wrong, frames = np.array(case.times), [], straight(path)
    numbers = list(range(len(times)))
    found = [number for number, _ in frames]
    container = CONTAINERS[case.container]
    if case.timing == "negative" and "frag" not in str(container.options) and container.format in ("mp4", "mov", "3gp"):
        # An edit list begins the presentation at zero.
        numbers = [n for n in numbers if times[n] > -1e-6]
    if found != numbers:
        wrong.append(f"straight decoding: {differences(numbers, found)}")
    if container.by_order:
        return Truth(numbers, _places(path), case.sound_start - case.start, 2), wrong
    shifts = np.array([stamp - times[n] for n, stamp in frames if stamp is not None and 0 <= n < len(times)])
    shift = float(np.median(shifts))
    guessed = (case.container, case.codec) in GUESSED
    if np.abs(shifts - shift).max() > _TICK and not guessed:
        wrong.append(f"straight decoding: stamps differ by up to {1000 * np.abs(shifts - shift).max():.0f} ms")
    return Truth(numbers, times[numbers] + shift, case.sound_start + shift, 3 * guessed, not guessed), wrong


def differences(wanted, found):
    """Where two lists of numbers differ, in a few words."""
    pairs = [(i, w, f) for i, (w, f) in enumerate(zip(wanted, found)) if w != f]
    text = f"{len(found)} of {len(wanted)} frames"
    if pairs:
        text += f", {len(pairs)} differ, first {pairs[0][2]} for {pairs[0][1]}"
    return text


@functools.cache
def _view_settings():
    return dataclasses.replace(
        clip_settings(tiny_cfg("MODEL.ARCH", "slowfast")), num_frames=8, sampling_rate=3, target_fps=25.0,
        test_crop=SIZE, num_views=4, num_crops=1,
    )  # fmt: skip


class Checker:
    """Asks for frames and sound of one file, and compares them with the truth."""

    def __init__(self, case, path, truth):
        self.path, self.truth, self.result = path, truth, Result(case, planned=planned(path))
        self.offsets, self.lags = {}, []

    def guard(self, what, function, *args):
        """Run a check; an error counts as a fault."""
        try:
            function(*args)
        except Exception as error:
            self.result.wrong.append(f"{what}: {type(error).__name__}: {error}".replace(f"{self.path}", "FILE")[:250])

    def compare(self, what, times, pixels, shown=None):
        """Numbers of frames for instants, and the times at which the reader says that they are shown."""
        faults = []
        for i, time in enumerate(times):
            number, right = number_of(np.asarray(pixels[i])), self.truth.at(float(time))
            self.result.frames += 1
            if self.truth.slack and number >= 0:
                first, last = self.truth.numbers[0], self.truth.numbers[-1]
                if number not in (first, last) and not right & {first, last}:
                    self.offsets[min((number - r for r in right), key=abs)] = f"{what} at {time:.3f} s"
                    continue
                right = {n for r in right for n in range(r - self.truth.slack, r + self.truth.slack + 1)}
            if number not in right:
                faults.append((time, right, number))
            elif shown is not None and not self.truth.slack:
                stamp = self.truth.times[self.truth.numbers.index(number)]
                if abs(shown[i] - stamp) > _TICK:
                    faults.append((time, f"its time {stamp:.3f}", f"{shown[i]:.3f}"))
        if faults:
            time, right, number = faults[0]
            self.result.wrong_frames += len(faults)
            self.result.wrong.append(f"{what}: {len(faults)} of {len(times)}, at {time:.3f} s {number} for {right}")

    def frames_at(self, what, times, reader):
        """Frames that one call gives for instants."""
        frames = reader.read_frames(np.asarray(times))
        self.compare(what, times, frames.pixels, frames.times)

    def read(self):
        """Consecutive, strided and distant instants, in every order, from one reader and from new ones."""
        t, one = self.truth.times, self.truth.usual
        count = len(t)
        middle = count // 2
        with VideoReader(self.path) as reader:

            def ask(what, times):
                self.guard(what, self.frames_at, what, times, reader)

            ask("consecutive from the top", t[:32])
            ask("consecutive", t[middle : middle + 32] + 0.1 * one)
            ask("every second", t[9 : 9 + 64 : 2] - 0.1 * one)
            ask("every seventh", t[3::7] + 0.1 * one)
            ask("distant", t[[2, count // 3, middle, -3]] + 0.3 * one)
            ask("before and after", [t[0] - 0.5, t[0] - 0.01, t[-1], t[-1] + one / 3])
            ask("backward", t[5:9])
            ask("long after", [t[-1] + 5.0])
            ask("between frames", np.arange(t[0], t[-1], 0.37))
        for n in np.linspace(0, count - 1, 9).astype(int):
            with VideoReader(self.path) as reader:
                self.guard("single", self.frames_at, f"frame {n} alone", [t[n] + 0.1 * one], reader)
        with VideoReader(self.path) as reader:
            self.guard("iter_frames", self.iterate, reader, float(t[2 * count // 3]))

    def iterate(self, reader, start):
        """All frames from an instant on."""
        pairs = [(time, _number(frame)) for time, frame in reader.iter_frames(start)]
        found = [number for _, number in pairs]
        self.result.frames += len(found)
        first = self.truth.numbers[np.searchsorted(self.truth.times, start + _TICK, side="right") - 1]
        wanted = [n for n in self.truth.numbers if n >= found[0]]
        if found != wanted or found[0] > first + self.truth.slack:
            self.result.wrong.append(f"iter_frames({start:.2f}): from {found[0]}, {differences(wanted, found)}")

    def views(self):
        """Views of a test."""
        clip_reader = ClipReader(_view_settings())
        with VideoReader(self.path) as reader:
            views = clip_reader.test_views(reader)
        for start, clip in zip(views["start"].tolist(), views["fast"].numpy()):
            self.compare("test views", clip_reader.frame_times(start), clip.transpose(1, 2, 3, 0))

    def sound(self):
        """Places of the sound's seconds."""
        self.lags = self.lags_of("sound", self.path, self.truth.sound_start)
        self.result.sound_ms = max(self.lags, key=abs, default=0.0)

    def lags_of(self, what, path, start):
        """Milliseconds by which some seconds of the sound come late."""
        seconds, lags = float(self.truth.times[-1] - self.truth.times[0]), []
        with VideoReader(path) as reader:
            for second in (0.0, 1.7, seconds / 2, seconds - 1.2):
                samples, heard = reader.read_audio(start + second, 1.0, _RATE)
                lag = lag_of(samples, second) if heard else None
                if lag is None:
                    self.result.wrong.append(f"{what}: {'another sound' if heard else 'silence'} at {second:.1f} s")
                else:
                    lags.append(lag)
        return lags

    def prepared(self, folder):
        """Every frame, in order and at its time, and the sound, after `transcode`."""
        out = Path(folder) / f"prepared-{self.path.stem}.mp4"
        try:
            transcode(self.path, out)
            frames = straight(out)
            found = [number for number, _ in frames]
            self.result.frames += len(found)
            if found != self.truth.numbers:
                self.result.wrong_frames += len(set(self.truth.numbers) ^ set(found)) or 1
                self.result.wrong.append(f"transcode: {differences(self.truth.numbers, found)}")
                return
            shift = np.array([stamp for _, stamp in frames]) - self.truth.times
            if np.abs(shift - shift[0]).max() > _TICK and not self.truth.slack:
                self.result.wrong.append(f"transcode: times are off by {1000 * np.abs(shift - shift[0]).max():.0f} ms")
            # Against the source as it is read: what its container rounds is not lost once more.
            moved = np.median(shift) if not self.truth.slack or not self.truth.constant else 0.0
            lags = self.lags_of("sound after transcode", out, self.truth.sound_start + moved)
            if len(lags) == len(self.lags):
                self.result.prepared_ms = max((new - old for new, old in zip(lags, self.lags)), key=abs)
        finally:
            out.unlink(missing_ok=True)


def planned(path):
    """Whether frames of a file are decoded by plan."""
    with av.open(str(path)) as container:
        return is_exact(container.format.name, container.streams.video[0].codec_context.name)


def lag_of(samples, second):
    """Milliseconds by which sound comes late that should be the noise from `second` on; None for another sound."""
    around = 0.5
    first = int((second - around) * SOUND_RATE)
    whole = np.pad(noise(30), SOUND_RATE)
    wanted = whole[SOUND_RATE + first : SOUND_RATE + first + int((1 + 2 * around) * SOUND_RATE)]
    # Both at 48 kHz: a lag is known to a fiftieth of a millisecond.
    got = np.fft.irfft(np.pad(np.fft.rfft(samples), (0, len(samples))), 3 * len(samples)) * 3
    size = 1 << int(np.ceil(np.log2(len(wanted) + len(got))))
    product = np.fft.irfft(np.fft.rfft(wanted, size) * np.conj(np.fft.rfft(got, size)), size)[: len(wanted) - len(got)]
    best = int(np.argmax(np.abs(product)))
    piece = wanted[best : best + len(got)]
    likeness = abs(product[best]) / max(np.linalg.norm(piece) * np.linalg.norm(got), 1e-9)
    return None if likeness < 0.3 else 1000 * (around * SOUND_RATE - best) / SOUND_RATE


def path_of(case, folder):
    """Where the file of a case lies."""
    return Path(folder) / f"{case}.{CONTAINERS[case.container].ending}"


def render_case(case, folder):
    """Write the file of a case unless it exists; gives its path."""
    container, path = CONTAINERS[case.container], path_of(case, folder)
    if not path.exists():
        part = path.with_name(f"part-{path.name}")
        render(
            part, CODECS[case.codec], case.structure, case.times, case.fps, container.format, container.options,
            SOUNDS[case.sound], case.sound_start,
        )  # fmt: skip
        part.rename(path)
    return path


def check(case, folder):
    """Render a file and compare everything: a Result."""
    path = render_case(case, folder)
    truth, wrong = truth_of(case, path)
    checker = Checker(case, path, truth)
    checker.result.wrong += wrong
    checker.guard("reading", checker.read)
    checker.guard("test views", checker.views)
    checker.guard("sound", checker.sound)
    checker.guard("transcode", checker.prepared, folder)
    if (truth.constant and len(checker.offsets) > 1) or any(abs(offset) > truth.slack for offset in checker.offsets):
        checker.result.wrong.append(f"frames are off by more than one number: {checker.offsets}")
    return checker.result


def other_opinion(case, folder, pool):
    """Where torchcodec's frames of a rendered file differ from the truth, "" where they do not.

    `pool` is its process, see `benchmarks.torchcodec_clips.executor`.
    """
    path = path_of(case, folder)
    truth, _ = truth_of(case, path)
    # It shows a frame until the next one begins, without rounding.
    times = truth.times[:-1] + 0.6 * np.diff(truth.times)
    try:
        found = [number_of(pixels) for pixels in pool.submit(frames_at, str(path), times.tolist()).result(60)]
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:150]}"
    return "" if found == truth.numbers[:-1] else differences(truth.numbers[:-1], found)

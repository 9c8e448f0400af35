"""What the matrix test renders: containers, codecs, structures, and which of them go together."""

from dataclasses import dataclass, field

import numpy as np

from .render import can_encode, Picture, Sound

FPS = 25
# Frames of a file, and of one with a single key frame.
COUNT, LONG = 150, 280
# A TS clock has 33 bits of 1/90000 s.
_WRAP = 2**33 / 90000


def _options(**values):
    return tuple((name.replace("_", "-") if name.startswith("x26") else name, str(v)) for name, v in values.items())


def _x265(**values):
    text = ":".join(f"{name.replace('_', '-')}={v}" for name, v in values.items())
    return (("x265-params", f"log-level=none:pools=none:frame-threads=1:{text}"),)


def _svt(**values):
    text = ":".join(f"{name.replace('_', '-')}={v}" for name, v in values.items())
    return (("svtav1-params", f"lp=1:{text}"),)


_MPEG = (("b", "3000000"), ("maxrate", "6000000"), ("bufsize", "3000000"))
_NO_CUTS = {"sc_threshold": 1000000000}
_PLAIN = {"closed": _options(g=50, bf=0), "intra": _options(g=1)}
_MPEG12 = {
    "closed": _options(g=50, bf=2, flags="+cgop", **_NO_CUTS),
    "open": _options(g=30, bf=2, **_NO_CUTS),
    "no_b": _options(g=50, bf=0, **_NO_CUTS),
    "one_key": _options(g=600, bf=2, **_NO_CUTS),
    "intra": _options(g=1, bf=0),
}
_AV1 = {
    "closed": (("g", "50"),),
    "one_key": (("g", "1000"),),
}

# The first structure of each codec is the one that is tried with every timing.
CODECS = {
    "h264": Picture(
        "libx264",
        "yuv420p",
        {
            "closed": _options(g=50, bf=3),
            "open": _options(g=30, bf=3, x264_params="open-gop=1"),
            "pyramid": _options(g=50, bf=8, b_strategy=0, refs=4, x264_params="b-pyramid=normal"),
            "no_b": _options(g=50, bf=0),
            "one_key": _options(g=1000, bf=3),
            "intra": _options(g=1),
            "interlaced": _options(g=50, bf=3, flags="+ildct+ilme", x264_params="tff=1"),
            "refresh": _options(g=1000, bf=0, x264_params="intra-refresh=1:keyint=50"),
        },
        _options(preset="veryfast", crf=25, sc_threshold=0),
    ),
    "hevc": Picture(
        "libx265",
        "yuv420p",
        {
            "closed": _x265(keyint=50, min_keyint=50, bframes=3, open_gop=0),
            "open": _x265(keyint=30, min_keyint=30, bframes=3, open_gop=1),
            "pyramid": _x265(keyint=50, min_keyint=50, bframes=8, b_adapt=0, b_pyramid=1, rc_lookahead=20),
            "one_key": _x265(keyint=-1, bframes=3),
            "intra": _x265(keyint=1),
        },
        _options(preset="ultrafast", crf=25),
    ),
    "mpeg4": Picture(
        "mpeg4",
        "yuv420p",
        {
            "closed": _options(g=50, bf=2, **_NO_CUTS),
            "no_b": _options(g=50, bf=0, **_NO_CUTS),
            "one_key": _options(g=600, bf=2, **_NO_CUTS),
            "intra": _options(g=1),
            "interlaced": _options(g=50, bf=2, flags="+ildct+ilme", **_NO_CUTS),
        },
        _MPEG,
    ),
    "mpeg2": Picture(
        "mpeg2video",
        "yuv420p",
        _MPEG12 | {"interlaced": _options(g=30, bf=2, flags="+ildct+ilme", **_NO_CUTS)},
        _MPEG,
    ),
    "mpeg1": Picture("mpeg1video", "yuv420p", _MPEG12, _MPEG),
    "vp8": Picture(
        "libvpx",
        "yuv420p",
        {
            "closed": _options(g=50, **{"auto-alt-ref": 1, "lag-in-frames": 16}),
            "no_b": _options(g=50, **{"auto-alt-ref": 0}),
            "one_key": _options(g=1000, **{"auto-alt-ref": 1, "lag-in-frames": 16}),
            "intra": _options(g=0),
        },
        _options(deadline="good", b=1000000, **{"cpu-used": 5}),
    ),
    "vp9": Picture(
        "libvpx-vp9",
        "yuv420p",
        {
            "closed": _options(g=50, **{"auto-alt-ref": 1, "lag-in-frames": 16}),
            "pyramid": _options(g=50, **{"auto-alt-ref": 6, "lag-in-frames": 25}),
            "one_key": _options(g=1000, **{"auto-alt-ref": 1, "lag-in-frames": 16}),
            "intra": _options(g=0),
        },
        _options(deadline="good", b=1000000, **{"cpu-used": 8}),
    ),
    "av1_svt": Picture(
        "libsvtav1",
        "yuv420p",
        {
            "closed": (("g", "50"), *_svt()),
            "low_delay": (("g", "50"), *_svt(pred_struct=1)),
            "one_key": (("g", "1000"), *_svt()),
            "intra": (("g", "1"), *_svt()),
        },
        _options(preset=9, crf=22),
    ),
    "av1_aom": Picture(
        "libaom-av1", "yuv420p", _AV1, _options(**{"cpu-used": 8, "lag-in-frames": 25, "b:v": "500k"}), True
    ),
    "mjpeg": Picture("mjpeg", "yuvj420p", {"intra": ()}, _options(qmin=3, qmax=5)),
    "prores": Picture("prores_ks", "yuv422p10le", {"intra": ()}),
    "png": Picture("png", "rgb24", {"intra": ()}),
    "theora": Picture(
        "libtheora", "yuv420p", {"closed": _options(g=50), "one_key": _options(g=1000)}, _options(**{"q:v": 8}), True
    ),
    "xvid": Picture("libxvid", "yuv420p", {"no_b": _options(g=50, bf=0)}, _options(**{"q:v": 3}), True),
    "flv1": Picture("flv", "yuv420p", _PLAIN, _MPEG),
    "msmpeg4": Picture("msmpeg4", "yuv420p", _PLAIN, _MPEG),
    "wmv2": Picture("wmv2", "yuv420p", _PLAIN, _MPEG),
    "ffv1": Picture("ffv1", "yuv420p", {"closed": _options(g=50), "intra": _options(g=1)}),
    "huffyuv": Picture("huffyuv", "yuv422p", {"intra": ()}),
    "qtrle": Picture("qtrle", "rgb24", _PLAIN),
}

SOUNDS = {
    "aac": Sound("aac"),
    "aac 44.1 stereo": Sound("aac", 44100, "stereo"),
    "mp3": Sound("libmp3lame", 44100),
    "mp2": Sound("mp2"),
    "ac3": Sound("ac3"),
    "opus": Sound("libopus"),
    "vorbis": Sound("vorbis", 44100, "stereo"),
    "flac": Sound("flac", 44100),
    "alac": Sound("alac"),
    "pcm": Sound("pcm_s16le"),
    "adpcm": Sound("adpcm_ima_wav", 22050),
    "wma": Sound("wmav2", 44100),
    "dts": Sound("dca", by_program=True),
}

# Milliseconds by which sound may be off: delays of codecs, and of what AVI does not store: what an encoder puts before.
SOUND_LIMIT_MS = 1.0
SOUND_DELAYS_MS = {"opus": 12.0, "dts": 12.0}
AVI_DELAYS_MS = {"mp3": 1105 / 44.1 + 0.5, "ac3": 256 / 48 + 0.5}

TIMINGS = ("steady", "late_video", "late_sound", "negative", "variable", "held", "far", "ntsc", "wrap")


@dataclass(frozen=True)
class Container:
    """A container: FFmpeg's format, its ending, the muxer's options, what it holds.

    `by_order` means that it stores no presentation times: frames are known by their order alone, and an offset of up to
    two frames cannot be told.
    """

    format: str
    ending: str
    codecs: tuple
    sounds: tuple
    timings: tuple = TIMINGS[:-1]
    options: dict = field(default_factory=dict)
    by_order: bool = False


_MP4 = ("h264", "hevc", "mpeg4", "mpeg2", "mpeg1", "vp9", "av1_svt", "av1_aom", "mjpeg", "png")
_ALL = ("h264", "hevc", "mpeg4", "mpeg2", "mpeg1", "vp8", "vp9", "av1_svt", "av1_aom", "mjpeg", "prores", "theora")
CONTAINERS = {
    "mp4": Container("mp4", "mp4", _MP4, ("aac", "aac 44.1 stereo", "mp3", "alac", "opus")),
    "fmp4": Container(
        "mp4",
        "mp4",
        ("h264", "hevc", "mpeg4", "vp9", "av1_svt", "av1_aom"),
        ("aac", "aac 44.1 stereo"),
        options={"movflags": "frag_keyframe+delay_moov+default_base_moof"},
    ),
    "mp4_cts": Container("mp4", "mp4", ("h264", "hevc"), ("aac",), options={"movflags": "negative_cts_offsets"}),
    "mov": Container(
        "mov", "mov", ("h264", "hevc", "mpeg4", "mpeg2", "mjpeg", "prores", "png", "qtrle"), ("aac", "pcm", "alac")
    ),
    "3gp": Container("3gp", "3gp", ("h264", "mpeg4"), ("aac",)),
    "mkv": Container(
        "matroska", "mkv", (*_ALL, "ffv1", "xvid"), ("opus", "flac", "aac", "vorbis", "mp3", "ac3", "dts", "pcm")
    ),
    "webm": Container("webm", "webm", ("vp8", "vp9", "av1_svt", "av1_aom"), ("opus", "vorbis")),
    "avi": Container(
        "avi",
        "avi",
        ("h264", "mpeg4", "mpeg2", "mpeg1", "vp8", "mjpeg", "png", "xvid", "msmpeg4", "huffyuv", "ffv1"),
        ("pcm", "mp3", "ac3", "adpcm"),
        ("steady", "held", "ntsc"),
        by_order=True,
    ),
    "ts": Container("mpegts", "ts", ("h264", "hevc", "mpeg4", "mpeg2", "mpeg1"), ("aac", "mp2", "ac3", "mp3"), TIMINGS),
    "m2ts": Container("mpegts", "m2ts", ("h264", "mpeg2"), ("ac3",), TIMINGS, {"mpegts_m2ts_mode": "1"}),
    "ps": Container("vob", "mpg", ("h264", "hevc", "mpeg4", "mpeg2", "mpeg1"), ("mp2", "ac3"), TIMINGS),
    "flv": Container("flv", "flv", ("h264", "hevc", "flv1", "av1_svt", "vp9"), ("aac", "mp3")),
    "ogg": Container("ogg", "ogv", ("theora", "vp8"), ("vorbis", "opus")),
    # FLAC in Ogg always begins at zero.
    "ogg_flac": Container("ogg", "ogv", ("vp8",), ("flac",), ("steady",)),
    "asf": Container("asf", "wmv", ("wmv2", "msmpeg4"), ("wma",)),
    "nut": Container("nut", "nut", ("h264", "mpeg4"), ("aac",), ("steady",)),
}


# Files that FFmpeg itself does not write or read back as they should be, whoever decodes them.
IMPOSSIBLE = {
    # Edit lists are not applied to streams that are parsed anew: some of the frames before the cut are given out.
    ("mp4", "mpeg1", "negative"),
    ("mp4", "mpeg2", "negative"),
    ("mov", "mpeg2", "negative"),
    # An Ogg page before zero is stamped with a number of 60 bits.
    ("ogg", "theora", "negative"),
    ("ogg", "vp8", "negative"),
    # Ogg counts frames at a constant rate.
    *(("ogg", codec, timing) for codec in ("theora", "vp8") for timing in ("variable", "held")),
    # A program stream stamps the first frame of each of its packets; the others follow at the frame rate.
    *(("ps", codec, t) for codec in ("h264", "hevc", "mpeg4", "mpeg2", "mpeg1") for t in ("variable", "held")),
}


# Small frames share packets of a program stream, which have one stamp each. To which of the frames FFmpeg gives it is a
# guess that is wrong by up to three frames; all frames are there, and in order.
GUESSED = {("ps", "h264"), ("ps", "hevc"), ("ps", "mpeg4")}


@dataclass(frozen=True)
class Case:
    """One file."""

    container: str
    codec: str
    structure: str
    timing: str
    sound: str

    def __str__(self):
        return f"{self.container}-{self.codec}-{self.structure}-{self.timing}-{self.sound.replace(' ', '_')}"

    def missing(self):
        """Encoders that are not here."""
        picture, sound = CODECS[self.codec], SOUNDS.get(self.sound)
        wanted = [(picture.encoder, picture.by_program), *([(sound.encoder, sound.by_program)] if sound else [])]
        return [name for name, by_program in wanted if not can_encode(name, by_program)]

    @property
    def sound_limit_ms(self):
        """Milliseconds by which sound may be off."""
        delays = AVI_DELAYS_MS if self.container == "avi" else SOUND_DELAYS_MS
        return delays.get(self.sound, SOUND_LIMIT_MS)

    @property
    def fps(self):
        """Frames per second."""
        return 30000 / 1001 if self.timing == "ntsc" else FPS

    @property
    def start(self):
        """Time of the first frame as written, seconds."""
        return {"late_video": 1.6, "negative": -0.6, "far": 40000.0, "wrap": _WRAP - 3.0}.get(self.timing, 0.0)

    @property
    def sound_start(self):
        """Time of the first sample as written, seconds."""
        return {"late_video": 0.0, "late_sound": 1.3}.get(self.timing, self.start)

    @property
    def times(self):
        """Time of each frame as written, seconds."""
        steps = np.ones(LONG if self.structure == "one_key" else COUNT)
        if self.timing == "variable":
            steps = np.random.default_rng(3).choice((1, 1, 1, 2, 3), len(steps))
        elif self.timing == "held":
            steps[[0, 60, 97]] = 100, 50, 30
        return (self.start + np.concatenate([[0.0], np.cumsum(steps[:-1])]) / self.fps).tolist()


def cases():
    """All files.

    Every container has every structure of its codecs; the first codec has every timing, the others a few in turn.
    """
    found = []
    for name, container in CONTAINERS.items():
        timings = [timing for timing in container.timings if timing != "steady"]
        for number, codec in enumerate(container.codecs):
            structures = list(CODECS[codec].structures)
            few = timings if number == 0 else [timings[(3 * number + i) % len(timings)] for i in range(3) if timings]
            kinds = [(structure, "steady") for structure in structures]
            kinds += [(structures[0], timing) for timing in dict.fromkeys(few)]
            for structure, timing in kinds:
                if (name, codec, timing) not in IMPOSSIBLE:
                    sound = container.sounds[len(found) % len(container.sounds)]
                    found.append(Case(name, codec, structure, timing, sound))
    return found

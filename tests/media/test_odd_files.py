"""Files as people have them: what is decoded is what is shown and heard, or the file is named."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from helpers.sounds import write_sound

from avslowfast.media import DecodeError, SoundReader, transcode, VideoReader

BITS, RATE, FPS = 8, 48000, 25


def coded(number, height=32, width=64):
    """A frame with its number as bars: RGB [height, width, 3]."""
    bars = [235 if number >> bit & 1 else 16 for bit in range(BITS)]
    return np.broadcast_to(np.repeat(np.uint8(bars), width // BITS)[None, :, None], (height, width, 3))


def numbers(frames):
    centres = (np.arange(BITS) + 0.5) * frames.shape[2] / BITS
    rows = np.asarray(frames)[:, frames.shape[1] // 2, centres.astype(int)].mean(axis=-1) > 128
    return (rows * 2 ** np.arange(BITS)).sum(axis=1).tolist()


def noise(seconds, rate=RATE, seed=0):
    return (0.3 * np.random.RandomState(seed).uniform(-1, 1, int(seconds * rate))).astype(np.float32)


def write(
    path,
    times=None,
    frames=None,
    audio=None,
    *,
    codec="libx264",
    options=None,
    gop=25,
    audio_codec="aac",
    rate=RATE,
    layout="mono",
    start=0.0,
    aspect=None,
    matrix=None,
    unit=Fraction(1, 1000),
):
    """Write frames at times (seconds) and audio [channels, N]."""
    with av.open(str(path), "w") as out:
        packets = []
        if times is not None:
            video = out.add_stream(codec, rate=FPS, options=options or {"preset": "ultrafast", "bf": "2"})
            first = coded(0) if frames is None else frames[0]
            video.height, video.width, video.pix_fmt = *first.shape[:2], "yuv420p"
            video.codec_context.gop_size, video.codec_context.time_base = gop, unit
            if aspect:
                video.codec_context.sample_aspect_ratio = aspect
            if matrix:
                video.set_display_matrix(matrix)
            for number, time in enumerate(times):
                pixels = coded(number) if frames is None else frames[number]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
                    format="yuv420p"
                )
                frame.pts, frame.time_base = round((start + time) / unit), unit
                packets += video.encode(frame)
        if audio is not None:
            sound = out.add_stream(audio_codec, rate=rate, layout=layout)
            audio = np.atleast_2d(audio)
            for at in range(0, audio.shape[1], 1024):
                samples = audio[:, at : at + 1024]
                if sound.codec_context.format.name == "s16":
                    samples = (samples.T.reshape(1, -1) * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(samples), format=sound.codec_context.format.name, layout=layout
                )
                frame.sample_rate, frame.pts, frame.time_base = rate, round(start * rate) + at, Fraction(1, rate)
                packets += sound.encode(frame)
            packets += sound.encode(None)
        if times is not None:
            packets += video.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)
    return path


def delay(path, wave, start, seconds=1.0, rate=16000):
    """(how late the audio of a span is in milliseconds, how well it fits); `wave` is at 48 kHz, from second 0 on."""
    with VideoReader(path) as reader:
        got = reader.read_audio(start, seconds, rate)
    assert got.has_audio
    spectrum = np.fft.rfft(wave)
    true = np.fft.irfft(spectrum[: int(len(wave) * rate / RATE) // 2 + 1])[: int(len(wave) * rate / RATE)] * rate / RATE
    piece = true[int(start * rate) + 800 : int((start + seconds) * rate) - 800]
    scores = np.correlate(got.samples, piece, "valid") / np.linalg.norm(piece)
    best = int(np.abs(scores).argmax())
    energy = np.linalg.norm(got.samples[best : best + len(piece)])
    return 1000 * (best - 800) / rate, abs(scores[best]) / max(energy, 1e-9)


@pytest.mark.parametrize("suffix, gop", [("ts", 50), ("ts", 250), ("mpg", 12)])
def test_the_beginning_of_a_stream_without_an_index_is_reached(tmp_path, suffix, gop):
    codec = (
        {"codec": "mpeg2video", "options": {"bf": "2", "qmax": "3"}, "unit": Fraction(1, FPS)}
        if suffix == "mpg"
        else {}
    )
    path = write(tmp_path / f"x.{suffix}", np.arange(200) / FPS, audio=noise(8), audio_codec="mp2", gop=gop, **codec)
    for first in (0, 1, 13, 37, 49, 60, 130, 190):
        with VideoReader(path) as reader:
            wanted = np.arange(first, first + 10)
            assert numbers(reader.read_frames(reader.video.start + (wanted + 0.1) / FPS)) == wanted.tolist()


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_frames_of_a_container_without_presentation_times_are_in_order_and_all_kept(tmp_path, codec):
    options = {"bf": "3"} if codec == "libx264" else {"bf": "2", "qmax": "2"}
    path = write(tmp_path / "x.avi", np.arange(200) / FPS, codec=codec, options=options, unit=Fraction(1, FPS))
    for first in (0, 20, 25, 26, 49, 120, 168):
        with VideoReader(path) as reader:
            wanted = np.arange(first, first + 32)
            assert numbers(reader.read_frames((wanted + 0.1) / FPS)) == wanted.tolist()
    result = transcode(path, tmp_path / "y.mp4")
    assert (result.frames_read, result.frames_written, result.damaged_packets) == (200, 200, 0)
    with VideoReader(tmp_path / "y.mp4") as reader:
        assert numbers(reader.read_frames((np.arange(200) + 0.1) / FPS)) == list(range(200))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_frame_that_is_held_is_no_gap_and_the_next_one_comes_in_its_time(tmp_path, suffix):
    times = np.concatenate([[0.0], 4.0 + np.arange(3) / FPS, 6.0 + np.arange(40) / FPS])
    path = write(tmp_path / f"x.{suffix}", times, audio=noise(7.6))
    with VideoReader(path) as reader:
        at = reader.video.start + np.array([0.5, 2.0, 3.2, 3.9, 4.001, 4.9, 5.97, 6.001, 7.0])
        frames = reader.read_frames(at)
        assert numbers(frames) == [0, 0, 0, 0, 1, 3, 3, 4, 29]
        assert np.all(np.asarray(frames.times) <= at)
        assert [round(time, 2) for time, _ in reader.iter_frames(0.0)][:3] == [
            round(reader.video.start + t, 2) for t in times[:3]
        ]


def test_av1_gives_the_wanted_frame_not_its_neighbour(tmp_path):
    options = {"preset": "12", "svtav1-params": "hierarchical-levels=4"}
    path = write(tmp_path / "x.mp4", np.arange(96) / FPS, codec="libsvtav1", options=options, gop=48)
    with VideoReader(path) as reader:
        wanted = np.arange(1, 95, 2)
        assert numbers(reader.read_frames((wanted + 0.1) / FPS)) == wanted.tolist()


def test_distant_frames_of_a_file_with_one_key_frame_are_read_in_one_pass(tmp_path):
    # Without a key frame in between, a seek leads back to the beginning.
    for suffix, codec in (("mp4", "libx264"), ("mkv", "libsvtav1")):
        options = {"preset": "12"} if codec == "libsvtav1" else {"preset": "ultrafast", "bf": "0"}
        path = write(tmp_path / f"x.{suffix}", np.arange(240) / 10, codec=codec, options=options, gop=1000)
        with VideoReader(path) as reader:
            wanted = [3, 60, 120, 180, 230]
            assert numbers(reader.read_frames((np.array(wanted) + 0.1) / 10)) == wanted
            assert reader.decoded_frames < 400


TURNS = {
    "as stored": ((1, 0, 0, 1), lambda x: x),
    "left and right": ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
    "up and down": ((1, 0, 0, -1), lambda x: x[::-1]),
    "half": ((-1, 0, 0, -1), lambda x: x[::-1, ::-1]),
    "clockwise": ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    "counter-clockwise": ((0, -1, 1, 0), lambda x: np.rot90(x, 1)),
    "transposed": ((0, 1, 1, 0), lambda x: x.transpose(1, 0, 2)),
    "transposed across": ((0, -1, -1, 0), lambda x: np.rot90(x, 2).transpose(1, 0, 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_every_rotation_and_mirror_is_shown_and_prepared(tmp_path, turn):
    (a, b, c, d), right = TURNS[turn]
    stored = np.zeros((48, 64, 3), np.uint8)
    for value, (rows, columns) in {60: (0, 0), 120: (0, 1), 180: (1, 0), 240: (1, 1)}.items():
        stored[24 * rows : 24 * rows + 24, 32 * columns : 32 * columns + 32] = value
    one = 65536
    matrix = (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path = write(tmp_path / "x.mp4", np.arange(10) / FPS, [stored] * 10, matrix=matrix)
    transcode(path, tmp_path / "y.mp4")
    for file in (path, tmp_path / "y.mp4"):
        with VideoReader(file) as reader:
            shown = reader.read_frames([0.2]).pixels[0]
        assert shown.shape == right(stored).shape
        assert np.abs(shown.astype(int) - right(stored))[8:-8, 8:-8].mean() < 6


def test_pixels_that_are_not_square_are_shown_square(tmp_path):
    path = write(tmp_path / "x.mp4", np.arange(10) / FPS, aspect=Fraction(4, 3))
    transcode(path, tmp_path / "y.mp4")
    with VideoReader(path) as reader, VideoReader(tmp_path / "y.mp4") as prepared:
        assert reader.pixel_aspect == Fraction(4, 3)
        assert reader.read_frames([0.2]).shape[1:3] == (32, 85)
        height, width = prepared.read_frames([0.2]).shape[1:3]
    assert abs(width / height - 85 / 32) < 0.05


def test_ycgco_is_converted(tmp_path):
    plain = np.broadcast_to(np.uint8([200, 60, 20]), (32, 64, 3))
    red, green, blue = 200.0, 60.0, 20.0
    planes = np.array([(red + 2 * green + blue) / 4, (2 * green - red - blue) / 4, (red - blue) / 2])
    y, cg, co = 16 + planes[0] * 219 / 255, 128 + planes[1] * 224 / 255, 128 + planes[2] * 224 / 255
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as out:
        options = {"x264-params": "colormatrix=YCgCo", "crf": "5"}
        stream = out.add_stream("libx264", rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        for _ in range(10):
            rows = np.concatenate([np.full((32, 64), y), np.full((8, 64), cg), np.full((8, 64), co)])
            frame = av.VideoFrame.from_ndarray(np.round(rows).astype(np.uint8), format="yuv420p")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    transcode(path, tmp_path / "y.mp4")
    for file in (path, tmp_path / "y.mp4"):
        with VideoReader(file) as reader:
            assert np.abs(reader.read_frames([0.2]).pixels[0].astype(int) - plain).max() <= 4


def test_prepared_files_keep_their_colours(tmp_path):
    # Large frames without a tag are BT.709 to no one: the tag of the source has to be in the new file.
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "5"})
        stream.height, stream.width, stream.pix_fmt = 360, 640, "yuv420p"
        stream.codec_context.colorspace = 1
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((360, 640, 3), [200, 60, 20], np.uint8), format="rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        out.mux(stream.encode(None))
    transcode(path, tmp_path / "y.mp4", short_side=128)
    for file in (path, tmp_path / "y.mp4"):
        with VideoReader(file) as reader:
            assert np.abs(reader.read_frames([0.1]).pixels[0].astype(int) - [200, 60, 20]).max() <= 4


def joined(tmp_path, *parts):
    """A transport stream whose audio changes after 4 s each: parts are (rate, layout)."""
    wave = noise(4 * len(parts))
    data = b""
    for number, (rate, layout) in enumerate(parts):
        piece = (
            np.fft.irfft(np.fft.rfft(wave[4 * RATE * number : 4 * RATE * (number + 1)])[: 2 * rate + 1]) * rate / RATE
        )
        channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
        audio = np.repeat(piece.astype(np.float32)[None], channels, 0)
        times = np.arange(100) / FPS
        path = write(tmp_path / f"{number}.ts", times, audio=audio, rate=rate, layout=layout, start=4.0 * number)
        data += path.read_bytes()
    (tmp_path / "x.ts").write_bytes(data)
    return tmp_path / "x.ts", wave


@pytest.mark.parametrize(
    "parts",
    [
        [(48000, "mono"), (48000, "stereo")],
        [(48000, "5.1"), (48000, "stereo")],
        [(48000, "mono"), (32000, "mono")],
        [(32000, "stereo"), (48000, "mono")],
    ],
    ids=str,
)
def test_audio_that_changes_in_mid_stream_is_read_piece_by_piece(tmp_path, parts):
    path, wave = joined(tmp_path, *parts)
    transcode(path, tmp_path / "y.mp4")
    with VideoReader(path) as reader:
        # A stream without a header begins later than what was written, by the muxer's delay.
        shift = reader.audio.start
    for file, origin in ((path, shift), (tmp_path / "y.mp4", None)):
        for start in (1.5, 3.2, 5.5):
            with VideoReader(file) as reader:
                begin = reader.audio.start if origin is None else origin
                got = reader.read_audio(begin + start, 1.4)
            assert got.has_audio and got.lost == 0
            level = np.sqrt(np.mean(got.samples.reshape(-1, 1600) ** 2, axis=1))
            # No hole at the change, and no other level.
            assert level.min() > 0.05 and level.max() < 0.25


@pytest.mark.parametrize("layouts", [("stereo", "mono"), ("mono", "stereo")])
def test_audio_that_changes_keeps_its_place_when_it_is_prepared(tmp_path, layouts):
    path, _ = joined(tmp_path, *((48000, layout) for layout in layouts))
    transcode(path, tmp_path / "y.mp4")
    with VideoReader(path) as source, VideoReader(tmp_path / "y.mp4") as prepared:
        for start in (1.5, *np.arange(3.0, 5.0, 0.2), 6.0):
            wanted = source.read_audio(source.audio.start + start + 0.05, 0.3).samples
            got = prepared.read_audio(source.audio.start + start, 0.4).samples
            late = int(np.correlate(got, wanted, "valid").argmax()) - 800
            assert abs(late) <= 16, f"{late / 16} ms late at {start} s"


def test_antiphase_stereo_is_heard(tmp_path):
    wave = noise(4)
    audio = np.stack([wave, -wave])
    path = write(tmp_path / "x.mkv", np.arange(100) / FPS, audio=audio, audio_codec="flac", layout="stereo")
    late, fit = delay(path, wave, 1.0)
    assert fit > 0.9 and abs(late) < 1


def unknown_audio(path):
    data = path.read_bytes()
    assert b"A_AAC" in data
    path.write_bytes(data.replace(b"A_AAC", b"A_XYZ"))
    return path


def test_frames_are_read_where_the_audio_has_no_decoder(tmp_path):
    path = unknown_audio(write(tmp_path / "x.mkv", np.arange(100) / FPS, audio=noise(4)))
    with VideoReader(path) as reader:
        assert reader.audio is None and "no audio that can be decoded" in reader.audio_problem
        assert numbers(reader.read_frames([1.0, 2.0])) == [25, 50] and not reader.read_audio(1.0, 1.0).has_audio
    result = transcode(path, tmp_path / "y.mp4")
    assert not result.has_audio and "no audio that can be decoded" in result.audio_problem
    with pytest.raises(DecodeError, match="x.mkv: no audio that can be decoded"):
        SoundReader(path)


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "x.mp3"
    with av.open(str(path), "w") as out:
        audio = out.add_stream("libmp3lame", rate=44100, layout="mono")
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 32, "rgb24"
        cover.disposition = Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(coded(3)), format="rgb24")))
        for at in range(0, 88200, 1152):
            frame = av.AudioFrame.from_ndarray(noise(2, 44100)[None, at : at + 1152], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44100, at, Fraction(1, 44100)
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    with pytest.raises(DecodeError, match="x.mp3: no video stream in it"):
        VideoReader(path)
    with SoundReader(path) as reader:
        assert abs(reader.audio.duration - 2.0) < 0.1 and reader.read_audio(0.5, 1.0).has_audio


@pytest.mark.parametrize("name", ["x.aac", "x.latm", "x.ac3", "x.eac3", "x.mp2", "x.mp3", "plain.mp3"])
def test_audio_without_a_container_lies_where_reading_from_the_top_finds_it(tmp_path, name):
    # Quiet behind loud: of variable rates the first packets say nothing.
    samples = noise(12) * np.where(np.arange(12 * RATE) < 4 * RATE, 1.0, 0.02).astype(np.float32)
    codec, muxer = ("aac", "latm") if name == "x.latm" else (None, None)
    options = {}
    if name.endswith("mp3"):
        # Only one of them has a header that counts its frames.
        options = {"flags": "+qscale", "global_quality": "600", "write_xing": str(int(name == "x.mp3"))}
    write_sound(tmp_path / name, samples, RATE, codec=codec, format=muxer, options=options)
    with SoundReader(tmp_path / name) as reader:
        assert abs(reader.audio.end - 12) < 0.1
        whole = reader.read_audio(0.0, 12.0, RATE).samples
        for start in (1.3, 10.5, 6.0):
            heard = reader.read_audio(start, 1.0, RATE)
            for place, most in ((whole, 0.001), (samples, 0.06)):
                begin = round((start - 0.2) * RATE)
                around = np.fft.rfft(place[begin : begin + round(1.4 * RATE)])
                found = np.fft.irfft(around * np.fft.rfft(heard.samples, round(1.4 * RATE)).conj()).argmax()
                assert heard.has_audio and abs(found / RATE - 0.2) < most


@pytest.mark.parametrize("name", ["one.png", "one.jpg", "x.h264", "x.m2v"])
def test_streams_without_time_stamps_are_counted(tmp_path, name):
    if name.startswith("one"):
        codec = "png" if name.endswith("png") else "mjpeg"
        with av.open(str(tmp_path / name), "w", format="image2") as out:
            stream = out.add_stream(codec, rate=FPS)
            stream.width, stream.height, stream.pix_fmt = 64, 32, "rgb24" if codec == "png" else "yuvj420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(coded(77)), format="rgb24")
            out.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            out.mux(stream.encode(None))
        wanted, times = [77], [0.0]
    else:
        codec = {"x.h264": "libx264", "x.m2v": "mpeg2video"}[name]
        write(tmp_path / name, np.arange(100) / FPS, codec=codec, options={"bf": "2"}, unit=Fraction(1, FPS))
        wanted, times = [0, 31, 32, 75, 99], (np.array([0, 31, 32, 75, 99]) + 0.1) / FPS
    with VideoReader(tmp_path / name) as reader:
        assert numbers(reader.read_frames(times)) == wanted
        assert numbers(reader.read_frames(times)) == wanted


def damage(path, kind, begin, end):
    """Put noise in place of the coded data of packets between two seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
        spans = [(p.pos, p.size) for p in container.demux(stream) if p.size and begin <= p.pts * p.time_base < end]
    data, random = bytearray(path.read_bytes()), np.random.RandomState(1)
    for at, size in spans:
        if size > 16:
            data[at + 16 : at + size] = random.bytes(size - 16)
    path.write_bytes(data)


def test_damaged_audio_is_marked_and_counted(tmp_path):
    path = write(tmp_path / "x.mkv", np.arange(250) / FPS, audio=noise(10))
    damage(path, "audio", 4, 7)
    with VideoReader(path) as reader:
        whole = reader.read_audio(1.0, 2.0)
        assert whole.has_audio and whole.lost == 0 and reader.damaged == 0
        broken = reader.read_audio(5.0, 1.0)
        assert not broken.has_audio and broken.lost > 0.5 and reader.damaged > 10
        little = reader.read_audio(1.5, 3.0)
        assert little.has_audio and 0.05 < little.lost < 0.5


def test_damaged_frames_are_counted_and_a_clip_of_them_is_refused(tmp_path):
    path = write(tmp_path / "x.mkv", np.arange(150) / FPS, options={"bf": "0"}, gop=100)
    damage(path, "video", 2.4, 3.2)
    with VideoReader(path) as reader:
        assert numbers(reader.read_frames(np.arange(10) / FPS)) == list(range(10)) and reader.damaged == 0
        with pytest.raises(DecodeError, match="frames between 2.40 and 3.20 s are damaged|frames are missing"):
            reader.read_frames(np.arange(60, 81) / FPS)
        assert reader.damaged > 0
        assert numbers(reader.read_frames(4.0 + np.arange(10) / FPS)) == list(range(100, 110))
    assert transcode(path, tmp_path / "y.mp4").damaged_packets > 0


def test_a_jump_of_the_time_stamps_is_kept_not_filled(tmp_path):
    data = b""
    for number, start in enumerate((0.0, 6000.0)):
        frames = [coded(100 * number + n) for n in range(100)]
        part = write(
            tmp_path / f"{number}.ts",
            np.arange(100) / FPS,
            frames,
            np.stack([noise(4)] * 2),
            layout="stereo",
            start=start,
        )
        data += part.read_bytes()
    (tmp_path / "x.ts").write_bytes(data)
    result = transcode(tmp_path / "x.ts", tmp_path / "y.mp4")
    assert (result.frames_read, result.frames_written) == (200, 200)
    with VideoReader(tmp_path / "x.ts") as source, VideoReader(tmp_path / "y.mp4") as prepared:
        start = source.video.start
        at = start + np.array([1.01, 3000, 6001.01, 6002.01])
        for reader in (source, prepared):
            assert reader.video.duration > 6000 and abs(reader.video.start - start) < 1e-3
            assert [reader.read_audio(time, 0.5).has_audio for time in at] == [True, False, True, True]
        shown = numbers(source.read_frames(at))
        assert shown[:2] == [25, 99] and shown[3] - shown[2] == 25 and 120 < shown[2] < 130
        assert numbers(prepared.read_frames(at)) == shown


def test_time_stamps_that_do_not_ascend_are_put_in_order(tmp_path):
    # Taken over from a container that stores the order of decoding alone.
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"bf": "3"})
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        stream.codec_context.gop_size = 25
        frames = [av.VideoFrame.from_ndarray(np.ascontiguousarray(coded(n)), format="rgb24") for n in range(100)]
        packets = [packet for frame in frames for packet in stream.encode(frame.reformat(format="yuv420p"))]
        for number, packet in enumerate(packets + stream.encode(None)):
            packet.pts = packet.dts = 40 * number
            packet.time_base = Fraction(1, 1000)
            out.mux(packet)
    for first in (0, 24, 25, 50, 80):
        with VideoReader(path) as reader:
            wanted = np.arange(first, first + 20)
            assert numbers(reader.read_frames((wanted + 0.1) / FPS)) == wanted.tolist()
    with VideoReader(path) as reader:
        assert [round(time * FPS) for time, _ in reader.iter_frames(0.0)] == list(range(100))
    assert transcode(path, tmp_path / "y.mp4").frames_written == 100
    with VideoReader(tmp_path / "y.mp4") as reader:
        assert numbers(reader.read_frames((np.arange(100) + 0.1) / FPS)) == list(range(100))

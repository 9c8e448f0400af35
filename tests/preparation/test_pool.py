"""Files that crash, stop or escape: they are named, the rest is prepared, nothing is left behind."""

import csv
import faulthandler
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import av
import numpy as np
import pytest
from helpers import ROOT

from avslowfast.datasets.kinetics import read_list
from avslowfast.media import write_video
from avslowfast.media.files import is_video, list_videos
from avslowfast.preparation import folders
from avslowfast.preparation.pool import Lost, lost_before, run_each
from avslowfast.preparation.prepare import plan_jobs, prepare, write_problems
from avslowfast.utils.files import sweep, temporary_of
from avslowfast.utils.text import write_csv


def work(item):
    """What a worker does with an item of these tests."""
    kind, value = item
    if kind == "signal":
        # Its report of a crash that is meant would look like one that is not.
        faulthandler.disable()
        os.kill(os.getpid(), value)
    if kind == "exit":
        os._exit(value)
    if kind == "sleep":
        time.sleep(value)
    if kind == "raise":
        raise value
    return value * 2


def results_of(items, workers=2, timeout=30.0):
    return dict(run_each(work, items, workers, timeout))


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_item_has_its_result(workers):
    items = [("double", i) for i in range(20)]
    assert results_of(items, workers) == {i: 2 * i for i in range(20)}
    assert results_of([], workers) == {}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGBUS, signal.SIGILL])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_ends_its_process_is_named_and_the_rest_is_done(number, workers):
    items = [("double", 1), ("signal", number), ("double", 3), ("signal", number), ("double", 5)]
    found = results_of(items, workers)
    assert {i: found[i] for i in (0, 2, 4)} == {0: 2, 2: 6, 4: 10}
    assert found[1] == found[3]
    assert found[1].reason.startswith(f"crashed the decoder: the process was killed by {number.name}")


def test_a_process_that_exits_is_named():
    found = results_of([("exit", 3), ("double", 1)], 1)
    assert found == {0: Lost("crashed the decoder: the process ended with exit code 3"), 1: 2}


def test_an_item_that_takes_too_long_is_named_and_the_rest_is_done():
    began = time.monotonic()
    found = results_of([("sleep", 60), ("double", 2), ("sleep", 60), ("double", 4)], 2, timeout=0.5)
    assert found == {0: Lost("took longer than 0.5 s (--timeout)"), 1: 4, 2: found[0], 3: 8}
    assert time.monotonic() - began < 20


def test_a_lack_of_memory_concerns_one_item():
    found = results_of([("raise", MemoryError()), ("double", 2)], 1)
    assert found == {0: Lost("needs more memory than there is"), 1: 4}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device", "x.mp4"), ValueError("fault")])
def test_other_errors_are_raised_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        results_of([("raise", error), *[("sleep", 60)] * 3])
    assert caught.value.args == error.args


def test_what_ended_processes_have_left_is_cleaned_also_after_an_error():
    cleaned = []
    assert dict(run_each(work, [("exit", 3), ("double", 1)], 1, 30.0, cleaned.append))[1] == 2
    assert cleaned == [("exit", 3)] * 2
    with pytest.raises(ValueError, match="fault"):
        list(run_each(work, [("sleep", 60), ("raise", ValueError("fault"))], 2, 100.0, cleaned.append))
    assert cleaned[2:] == [("sleep", 60)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_their_parent(tmp_path, number):
    code = (
        "import os, sys, time\n"
        "from avslowfast.preparation.pool import run_each\n"
        "def work(i):\n"
        f"    open(r'{tmp_path}/' + str(os.getpid()), 'w').close()\n"
        "    time.sleep(100)\n"
        "list(run_each(work, [1, 2], 2, 1000.0))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(os.listdir(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    children = [int(name) for name in os.listdir(tmp_path)]
    assert len(children) == 2
    parent.send_signal(number)
    parent.wait(30)
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_half_written_files_are_swept_and_are_no_videos(tmp_path):
    part = tmp_path / "deep/x.0123abcd.part.mp4"
    part.parent.mkdir()
    for name in (part.name, "x.mp4", "x.part.txt", "other.mp4"):
        (part.parent / name).write_bytes(b"")
    assert not is_video(part)
    # A person's file may be called so.
    assert is_video("x.part.mp4")
    assert [os.path.basename(path) for path in list_videos([tmp_path])] == ["other.mp4", "x.mp4"]
    # Of a folder in which others work as well, only what belongs to one's own videos is removed.
    jobs = [
        plan_jobs({"train": [str(tmp_path / name)]}, str(tmp_path), str(tmp_path))
        for name in ("other.mp4", "deep/x.mp4")
    ]
    prepare(jobs[0], str(tmp_path))
    assert part.exists()
    prepare(jobs[1], str(tmp_path))
    assert sorted(os.listdir(part.parent)) == ["other.mp4", "x.mp4", "x.part.txt"]
    part.write_bytes(b"")
    sweep(temporary_of(part.parent / "other.mp4"))
    assert part.exists()
    sweep(temporary_of(part.parent / "x.mp4"))
    assert not part.exists()


# ---- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label", ["../../../escaped", "..", "/tmp/escaped", "a/../../../x", "../videos2", "a\nb", "./../../b"]
)
def test_names_do_not_lead_out_of_the_folder(tmp_path, label):
    source, out = str(tmp_path / "in"), str(tmp_path / "deep/out")
    wanted = [os.path.join(source, label, "v.mp4"), os.path.join(source, "a/v.mp4")]
    bad, good = plan_jobs({"train": wanted}, source, out)
    assert bad.state == "refused"
    assert bad.reason.startswith("its name ")
    assert good.state == "missing"
    write_problems([bad, good], str(tmp_path / "problems.csv"))
    with open(tmp_path / "problems.csv", newline="") as f:
        assert [row["state"] for row in csv.DictReader(f)] == ["refused", "missing"]


def test_several_files_of_a_video_and_folders_that_cannot_be_read_are_said(tmp_path):
    for name in ("x/v.mkv", "y/v.mp4", "z/w.mp4", "w.mp4", "like.mp4/u.mp4"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"")
    source, notes = str(tmp_path / "in"), []
    jobs = plan_jobs({"train": [f"{source}/v.mp4", f"{source}/w.mp4"]}, source, str(tmp_path / "out"), notes=notes)
    assert [job.source for job in jobs] == [f"{source}/x/v.mkv", f"{source}/w.mp4"]
    assert notes == [
        f"passed over: 1 folder; the first: {source}/like.mp4: a folder that is called like a video",
        f"there are several files of 1 video; of the first {source}/x/v.mkv is taken, not {source}/y/v.mp4",
    ]


@pytest.mark.parametrize("label", ["a", "a/b", "a/../b", "..a", "...", "~", "$HOME", "a b", "=1+1"])
def test_odd_names_inside_the_folder_are_taken(tmp_path, label):
    (job,) = plan_jobs({"train": [os.path.join(tmp_path, label, "v.mp4")]}, str(tmp_path), str(tmp_path / "out"))
    assert job.state == "missing"


def test_two_videos_of_one_prepared_name_are_not_written_over_each_other(tmp_path):
    wanted = [str(tmp_path / name) for name in ("a.avi", "a.mp4", "b/../a.mkv", "b.mp4")]
    jobs = plan_jobs({"train": wanted}, str(tmp_path), str(tmp_path / "out"))
    assert [job.state for job in jobs] == ["missing", "refused", "refused", "missing"]
    assert jobs[1].reason == f"its prepared file would be that of {wanted[0]}"


def tool(name, *args, code=0, **kwargs):
    done = subprocess.run(
        [sys.executable, str(ROOT / f"tools/{name}.py"), *map(str, args)], capture_output=True, text=True, **kwargs
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video of four seconds with audio, whose head tells its length."""
    path = tmp_path_factory.mktemp("video") / "x.mkv"
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (100, 64, 96, 3), np.uint8)
    write_video(path, frames, 25, 0.1 * rng.standard_normal(4 * 16000).astype(np.float32), 16000, gop=25)
    return path


def test_a_label_that_leads_out_of_the_folder_writes_nothing_there(tmp_path, video):
    head = "label,youtube_id,time_start,time_end,split\n"
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann/train.csv").write_text(
        head + "walk,abc,0,10,train\n../../../escaped,abc,0,10,train\n../../../escaped,gone,0,10,train\n"
    )
    (tmp_path / "in/x").mkdir(parents=True)
    shutil.copy(video, tmp_path / "in/x/abc_000000_000010.mkv")
    words = ["--annotations", "ann", "--videos", "in", "--out", "deep/out", "--jobs", "1", "--short-side", "48"]
    text = tool("prepare_data", "kinetics400", *words, cwd=tmp_path)
    found = [path for path in tmp_path.rglob("*abc*") if "in/x" not in str(path)]
    assert found == [tmp_path / "deep/out/videos/walk/abc_000000_000010.mp4"]
    assert not (tmp_path / "escaped").exists()
    assert "refused: the first is" in text
    assert (tmp_path / "deep/out/lists/train.csv").read_text() == "walk/abc_000000_000010.mp4 1\n"


# ---- files ------------------------------------------------------------------------------------------------------


def probed(*paths, full=False):
    videos = [folders.Video(str(path), 0) for path in paths]
    folders.probe(videos, 1, full)
    return videos


def test_a_file_that_is_cut_off_is_found(tmp_path, video):
    data = video.read_bytes()
    for share in (0.3, 0.6):
        (tmp_path / "cut.mkv").write_bytes(data[: int(share * len(data))])
        (cut,) = probed(tmp_path / "cut.mkv")
        # Its head and its first frame are in order; its length is that of the head.
        assert cut.reason, share
        assert str(tmp_path) not in cut.reason
    (whole,) = probed(video)
    assert (whole.reason, whole.has_audio) == ("", True)


def test_damage_in_the_middle_is_found_by_reading_everything(tmp_path, video):
    data = bytearray(video.read_bytes())
    data[len(data) // 5 : 4 * len(data) // 5] = bytes(4 * len(data) // 5 - len(data) // 5)
    (tmp_path / "x.mkv").write_bytes(data)
    assert probed(tmp_path / "x.mkv", full=True)[0].reason
    assert probed(video, full=True)[0].reason == ""


def test_make_list_leaves_out_what_is_no_video_and_says_so(tmp_path, video):
    folder = tmp_path / "v/a"
    folder.mkdir(parents=True)
    for name in ("1.mkv", "2.mkv", "3.mkv", "line\nbreak.mkv", os.fsdecode(b"m\xe9.mkv")):
        shutil.copy(video, folder / name)
    os.mkfifo(folder / "pipe.mp4")
    (folder / "dev.mp4").symlink_to("/dev/zero")
    (folder / "x.0123abcd.part.mp4").write_bytes(b"")
    text = tool("make_list", tmp_path / "v", "--out", tmp_path / "lists", "--jobs", 2)
    assert "7 videos, 3 of them readable" in text
    assert "1 file that is no video or sound by name" in text
    assert text.count("pipe.mp4") == 1
    with open(tmp_path / "lists/unreadable.csv", newline="") as f:
        rows = {os.path.basename(row["path"]): row["reason"] for row in csv.DictReader(f)}
    assert {name: reason.split(";")[0] for name, reason in rows.items()} == {
        "pipe.mp4": "no regular file (a pipe, socket or device)",
        "dev.mp4": "no regular file (a pipe, socket or device)",
        "line\nbreak.mkv": "its name has a line break",
        "m\\udce9.mkv": "its name is not in UTF-8",
    }
    listed = "".join((tmp_path / f"lists/{split}.csv").read_text() for split in folders.SPLITS)
    assert len(set(listed.splitlines())) == 3


@pytest.mark.parametrize("name", ["a\nb", " a", "a ", os.fsdecode(b"m\xe9")])
def test_folders_whose_names_cannot_be_classes_are_one_line(tmp_path, name, video):
    (tmp_path / "v" / name).mkdir(parents=True)
    shutil.copy(video, tmp_path / "v" / name)
    with pytest.raises(folders.FolderError, match="cannot stand in classes.txt; rename its folder"):
        folders.find_videos(str(tmp_path / "v"))


@pytest.mark.parametrize(
    "words",
    ["--jobs 0", "--jobs -1", "--jobs x", "--timeout 0", "--timeout nan", "--timeout -3", "--timeout inf", "--seed -1",
     "--val nan", "--test nan", "--val inf", "--val -0.1"],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(tmp_path, words):
    text = tool("make_list", tmp_path, "--out", tmp_path, *words.split(), code=2)
    assert words.split()[0] in text


@pytest.mark.parametrize("words", ["--jobs 0", "--short-side 0", "--short-side -2", "--timeout nan"])
def test_arguments_of_prepare_out_of_range_are_refused(tmp_path, words):
    args = ("ave", "--annotations", tmp_path, "--videos", tmp_path, "--out", tmp_path)
    assert words.split()[0] in tool("prepare_data", *args, *words.split(), code=2)


def killed(tmp_path, times):
    """prepare is run; its process that writes the long video is killed a number of times. Returns what it says."""
    words = ["kinetics400", "--annotations", "ann", "--videos", "in", "--out", "out", "--jobs", "1"]
    command = [sys.executable, str(ROOT / "tools/prepare_data.py"), *words]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline, children = time.monotonic() + 120, set()
    while len(children) < times and time.monotonic() < deadline:
        time.sleep(0.01)
        with open(f"/proc/{run.pid}/task/{run.pid}/children") as f:
            now = set(map(int, f.read().split())) - children
        # Each process writes under a name of its own, which may outlast it.
        parts = list(tmp_path.glob("out/videos/walk/long*.part.mp4"))
        if now and len(parts) > 0 and any(writes(child, parts) for child in now):
            children |= now
            for child in now:
                os.kill(child, signal.SIGKILL)
    text = run.communicate(timeout=120)[0]
    assert run.returncode == 0, text
    assert "Traceback" not in text
    return text


def writes(pid, paths):
    """Whether a process has one of these files open."""
    try:
        opened = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return False
    return any(str(path) in opened for path in paths)


@pytest.fixture
def crawled(tmp_path, video):
    """A crawler's folder with a video that takes a while and one that does not."""
    rng = np.random.default_rng(0)
    (tmp_path / "ann").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "ann/train.csv").write_text(
        "label,youtube_id,time_start,time_end,split\nwalk,long,0,10,train\nwalk,short,0,10,train\n"
    )
    frames = rng.integers(0, 255, (50, 240, 320, 3), np.uint8)
    write_video(tmp_path / "in/long_000000_000010.mkv", np.concatenate([frames] * 6), 25)
    shutil.copy(video, tmp_path / "in/short_000000_000010.mkv")
    return tmp_path


LONG, SHORT = "long_000000_000010.mp4", "short_000000_000010.mp4"


def prepared(folder):
    return sorted(path.name for path in (folder / "out/videos/walk").iterdir())


def test_a_worker_that_is_killed_once_costs_nothing(crawled):
    """It may have been another's fault: the file is tried once more, alone."""
    killed(crawled, 1)
    assert prepared(crawled) == [LONG, SHORT]
    assert not (crawled / "out/problems.csv").exists()


def test_a_file_that_kills_twice_is_named_and_not_tried_for_ever(crawled):
    killed(crawled, 2)
    assert prepared(crawled) == [SHORT]
    with open(crawled / "out/problems.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    reason = "crashed the decoder: the process was killed by SIGKILL (out of memory?)"
    assert [(row["state"], row["reason"]) for row in rows] == [("unreadable", reason)]
    words = ["kinetics400", "--annotations", "ann", "--videos", "in", "--out", "out", "--jobs", "1"]
    table = (crawled / "out/problems.csv").read_text()
    for flags in ([], ["--check"], []):
        text = tool("prepare_data", *words, *flags, cwd=crawled)
        assert "1 of the unreadable ones crashed the decoder or took too long in an earlier run" in text
        assert (prepared(crawled), (crawled / "out/problems.csv").read_text()) == ([SHORT], table)
    tool("prepare_data", *words, "--retry", cwd=crawled)
    assert prepared(crawled) == [LONG, SHORT]
    assert not (crawled / "out/problems.csv").exists()


def test_a_file_that_takes_too_long_is_tried_again_with_more_time_or_when_it_is_another(tmp_path):
    path, table = tmp_path / "x.mp4", tmp_path / "problems.csv"
    path.write_bytes(b"1")
    time.sleep(0.02)
    rows = [(str(path), "took longer than 2.5 s (--timeout)"), ("/gone", "crashed the decoder: x"), ("/y", "no frames")]
    write_csv(table, [["path", "reason"], *rows])
    files = {str(path): str(path), "/gone": "/gone", "/y": str(path)}
    assert lost_before(str(table), files, 2.5) == dict(rows[:1])
    assert lost_before(str(table), files, 3.0) == {}
    assert lost_before(str(tmp_path / "none.csv"), files, 2.5) == {}
    time.sleep(0.02)
    # A download that carries the time of its upload.
    path.write_bytes(b"2")
    os.utime(path, (1, 1))
    assert lost_before(str(table), files, 2.5) == {}


def test_a_file_that_crashes_make_list_is_named_and_not_tried_for_ever(tmp_path, video):
    """The process that looks at a file is killed twice; the file waits for a writer that never comes."""
    folder = tmp_path / "v/a"
    folder.mkdir(parents=True)
    for name in ("1.mkv", "2.mkv", "3.mkv"):
        shutil.copy(video, folder / name)
    write_csv(tmp_path / "lists/unreadable.csv", [["path", "reason"], [folder / "2.mkv", "crashed the decoder: so"]])
    text = tool("make_list", tmp_path / "v", "--out", tmp_path / "lists", "--jobs", 1)
    assert "3 videos, 2 of them readable" in text
    assert f"left out: {folder}/2.mkv: crashed the decoder: so\n" in text
    assert "1 file crashed the decoder or took too long in an earlier run" in text
    assert "2.mkv" in (tmp_path / "lists/unreadable.csv").read_text()
    text = tool("make_list", tmp_path / "v", "--out", tmp_path / "lists", "--jobs", 1, "--retry")
    assert "3 videos, 3 of them readable" in text
    assert not (tmp_path / "lists/unreadable.csv").exists()


# ---- kinds of files ----------------------------------------------------------------------------------------------


def sound(path):
    """Write four seconds of noise in the container's own codec."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        codec = "libopus" if path.suffix in (".ogg", ".mka") else out.default_audio_codec
        stream = out.add_stream(codec, rate=16000, layout="mono")
        resampler = av.AudioResampler(stream.format, stream.layout, stream.rate, stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(rng.integers(-9999, 9999, (1, 64000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))


def test_sounds_are_listed_where_there_is_no_video(tmp_path, video):
    for name in ("a/1.wav", "a/2.flac", "b/3.ogg", "b/4.mp3"):
        path = tmp_path / "v" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sound(path)
    text = tool("make_list", tmp_path / "v", "--out", tmp_path / "lists", "--jobs", 2, "--full")
    assert "4 sounds, 4 of them readable" in text
    assert "length 4.0 to 4." in text
    assert "OwnSounds/AUDIO_TINY" in text
    assert len((tmp_path / "lists/train.csv").read_text().splitlines()) == 4
    # Beside videos they are left out, unless both are wanted.
    shutil.copy(video, tmp_path / "v/b/5.mkv")
    text = tool("make_list", tmp_path / "v", "--out", tmp_path / "lists", "--jobs", 2)
    assert "2 videos, 1 of them readable" in text
    assert "3.ogg: a sound among videos" in text
    assert "left out: 3 sounds beside videos (--sounds takes both)" in text
    text = tool("make_list", tmp_path / "v", "--out", tmp_path / "lists", "--jobs", 2, "--sounds")
    assert "5 sounds, 5 of them readable" in text


@pytest.mark.parametrize("ending", ["flac", "mp3", "mka", "wav", "ogg", "aac"])
def test_sounds_that_are_cut_off_are_named_or_told_shorter(tmp_path, ending):
    sound(tmp_path / f"x.{ending}")
    data = (tmp_path / f"x.{ending}").read_bytes()
    (tmp_path / f"cut.{ending}").write_bytes(data[: len(data) // 2])
    whole, cut = probed(tmp_path / f"x.{ending}", tmp_path / f"cut.{ending}")
    assert whole.reason == ""
    assert whole.seconds == pytest.approx(4, abs=0.2)
    if ending in ("flac", "mp3", "mka"):
        # Their heads promise a length.
        assert cut.reason.startswith("cut off: it promises ")
    else:
        assert cut.reason == ""
        assert cut.seconds < 3


def test_folders_that_are_passed_over_are_named(tmp_path, video, monkeypatch):
    (tmp_path / "v/a/deep").mkdir(parents=True)
    shutil.copy(video, tmp_path / "v/a/deep/1.mkv")
    shutil.copy(video, tmp_path / "v/no_class.mkv")
    (tmp_path / "v/a/x.mp4").mkdir()
    (tmp_path / "v/a/gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "v/a/ring.mp4").symlink_to("ring.mp4")
    (tmp_path / "v/a/up").symlink_to("..")
    (tmp_path / "v/all").symlink_to(".")
    (tmp_path / "v/0").symlink_to("a")
    with socket.socket(socket.AF_UNIX) as server:
        # A socket's path has at most 107 bytes, which the path from another folder may pass.
        with monkeypatch.context() as there:
            there.chdir(tmp_path / "v/a")
            server.bind("socket.mp4")
        text = tool("make_list", tmp_path / "v", "--out", tmp_path / "lists", "--jobs", 1)
    assert "4 videos, 1 of them readable" in text
    assert (tmp_path / "lists/classes.txt").read_text() == "a\n"
    with open(tmp_path / "lists/unreadable.csv", newline="") as f:
        rows = {os.path.relpath(row["path"], tmp_path / "v"): row["reason"] for row in csv.DictReader(f)}
    root = tmp_path / "v"
    assert rows == {
        "a/x.mp4": "a folder that is called like a video",
        "a/gone.mp4": "cannot be opened (No such file or directory)",
        "a/ring.mp4": "cannot be opened (Too many levels of symbolic links)",
        "a/socket.mp4": "no regular file (a pipe, socket or device)",
        "a/up": f"the same folder as {root}",
        "all": f"the same folder as {root}",
        "0": f"the same folder as {root}/a",
    }
    assert all(text.count(f"{root}/{name}: ") == 1 for name in rows)


ODD = ["a b", " a", "a,b", "'a'", '"a"', "a;b", "#a", "-a", "=1+1", "%d", "12:30:05", "über 音", "[a]*?", "a\tb",
       "a\x0bb", "a\x0cb", "a\x1cb", "a\x85b", "a\u2028b", "a\u3000b", "\ufeffa", "a\\b", "e\u0301"]  # fmt: skip


def test_lists_are_read_back_whatever_the_names(tmp_path, video):
    (tmp_path / "v/a").mkdir(parents=True)
    for name in ODD:
        shutil.copy(video, tmp_path / f"v/a/{name}.mkv")
    text = tool("make_list", tmp_path / "v", "--out", tmp_path / "lists", "--jobs", 2, "--val", 0, "--test", 0)
    assert f"{len(ODD)} videos, {len(ODD)} of them readable" in text
    records = read_list(str(tmp_path / "lists/train.csv"), 1)
    assert {record.path for record in records} == {str(tmp_path / f"v/a/{name}.mkv") for name in ODD}

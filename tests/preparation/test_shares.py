"""A data set prepared in shares by several processes, one of them killed: as if one had prepared it all."""

import contextlib
import glob
import json
import multiprocessing
import os
import re
import signal
import sys
import time

import av
import numpy as np
import pytest
from helpers.slurm import Slurm, why_not
from helpers.tools import command

from avslowfast.cli.main import run_command
from avslowfast.media import VideoReader, write_video
from avslowfast.preparation.pool import lost_before
from avslowfast.preparation.prepare import plan_jobs
from avslowfast.preparation.shares import of_share, Share
from avslowfast.utils.lock import FolderLock

# The seventh takes long, is the third of the three of share 1, and is downloaded last.
IDS = ("damaged", "b", "gone", "d", "e", "torn", "long", "f", "twice")


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """A crawler's folder: one video is damaged, one torn, one missing, one named twice, one by two labels."""
    folder = tmp_path_factory.mktemp("crawled")
    (folder / "in/any").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, name in enumerate(IDS):
        frames = rng.integers(0, 255, (30, 48, 64, 3), np.uint8)
        if name == "long":
            frames = np.concatenate([rng.integers(0, 255, (30, 240, 320, 3), np.uint8)] * 8)
        audio = 0.1 * rng.standard_normal(16000 + 100 * number).astype(np.float32)
        if name != "gone":
            write_video(file_of(folder, name), frames, 15, audio, 16000)
    with av.open(file_of(folder, "damaged")) as container:
        packet = list(container.demux(video=0))[20]
    data = bytearray(file_of(folder, "damaged").read_bytes())
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    file_of(folder, "damaged").write_bytes(data)
    file_of(folder, "torn").write_bytes(file_of(folder, "torn").read_bytes()[:100])
    rows = [f"{'run' if number % 2 else 'walk'},{name},0,10,train" for number, name in enumerate(IDS)]
    # Its download is one file, which two classes want.
    rows += [rows[1], "swim,twice,0,10,train"]
    head = "label,youtube_id,time_start,time_end,split"
    (folder / "train.csv").write_text("\n".join([head, *rows, ""]))
    (folder / "val.csv").write_text(f"{head}\nwalk,v,0,10,val\nwalk,b,0,10,val\n")
    write_video(file_of(folder, "v"), rng.integers(0, 255, (30, 48, 64, 3), np.uint8), 15)
    return folder


def file_of(folder, name):
    return folder / f"in/any/{name}_000000_000010.mp4"


def words(downloads, out, *more):
    folders = ("--annotations", downloads, "--videos", downloads / "in", "--out", out)
    return [str(word) for word in ("kinetics400", *folders, "--jobs", 1, "--short-side", 32, *more)]


def prepare(downloads, out, *more, code=0):
    return command("prepare", *words(downloads, out, *more), code=code)


def begin(downloads, out, *more):
    """A process that prepares a share."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=lambda: sys.exit(run_command("prepare", words(downloads, out, *more))))
    process.start()
    return process


def contents(out):
    """{path: bytes} of all that a run has written but for its records."""
    files = [path for path in out.rglob("*") if path.is_file() and path.relative_to(out).parts[0] != "shares"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def frames_of(path):
    with VideoReader(path) as reader:
        audio, _ = reader.read_audio(0, 1) if reader.audio else (np.zeros(0), 0)
        return [(time, frame.to_ndarray()) for time, frame in reader.iter_frames(0.0)], audio


@pytest.fixture(scope="module")
def single(downloads, tmp_path_factory):
    """(folder, table of counts) of one run over all videos."""
    out = tmp_path_factory.mktemp("single")
    return out, table_of(prepare(downloads, out))


def table_of(text):
    return [line for line in text.split("\n") if not line.startswith("preparing")]


def reported(out, share):
    path = out / f"shares/{share}/videos.jsonl"
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def test_shares_of_three_processes_one_of_them_killed_are_what_one_run_prepares(downloads, single, tmp_path):
    shares = [begin(downloads, tmp_path, "--shard", f"{index}/3") for index in (1, 2, 3)]
    deadline = time.monotonic() + 60
    # Its long video is half written.
    while not list(tmp_path.glob("videos/walk/long*.part.mp4")) and time.monotonic() < deadline:
        time.sleep(0.005)
    shares[0].kill()
    for process in shares:
        process.join(60)
    assert [process.exitcode for process in shares] == [-signal.SIGKILL, 0, 0]
    before = reported(tmp_path, "1-of-3")
    assert [line["reason"] for line in before if line.get("state") == "prepared"] == ["1 damaged packet left out", ""]
    assert "--shard 1/3 (unfinished" in prepare(downloads, tmp_path, "--merge", code=2)
    assert not (tmp_path / "lists").exists()
    stamp = os.stat(tmp_path / "videos/walk/damaged_000000_000010.mp4").st_mtime_ns
    # The process was killed between writing a video and reporting it, too.
    record = tmp_path / "shares/1-of-3/videos.jsonl"
    record.write_text("\n".join(json.dumps(line) for line in before[:-1]) + '\n{"vid')
    text = prepare(downloads, tmp_path, "--shard", "1/3")
    assert "give the command with --merge" in text
    assert os.stat(tmp_path / "videos/walk/damaged_000000_000010.mp4").st_mtime_ns == stamp
    out, table = single
    for _ in range(2):
        # A second time it is the same.
        assert table_of(prepare(downloads, tmp_path, "--merge")) == [
            line.replace(str(out), str(tmp_path)) for line in table
        ]
        assert contents(tmp_path) == contents(out)
    for path in out.rglob("*.mp4"):
        (one, sound), (other, other_sound) = frames_of(path), frames_of(tmp_path / path.relative_to(out))
        assert [time for time, _ in one] == [time for time, _ in other]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one, other)) and np.array_equal(sound, other_sound)
    # A run over all videos goes on from there, and takes the records' place.
    again = prepare(downloads, tmp_path)
    assert "there" in again and "prepared " not in again and not (tmp_path / "shares").exists()
    assert contents(tmp_path)["problems.csv"] == contents(out)["problems.csv"].replace(b",prepared,", b",there,")


def test_a_single_run_that_is_killed_forgets_nothing(downloads, single, tmp_path):
    run = begin(downloads, tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("videos/walk/long*.part.mp4")) and time.monotonic() < deadline:
        time.sleep(0.005)
    run.kill()
    run.join(60)
    assert run.exitcode == -signal.SIGKILL and not (tmp_path / "problems.csv").exists()
    prepare(downloads, tmp_path)
    assert contents(tmp_path) == contents(single[0]) and not (tmp_path / "shares").exists()


def test_no_two_shares_have_the_same_video_and_downloads_do_not_move_them(tmp_path):
    wanted = [str(tmp_path / f"in/{group}/v{number}.mp4") for number in range(50) for group in "ab"]
    paths = {"train": wanted, "val": [*wanted[:7], str(tmp_path / "in/a/v0.mkv"), str(tmp_path / "in/a/../b/w.mp4")]}

    def names(count):
        jobs = plan_jobs(paths, str(tmp_path / "in"), str(tmp_path / "out"))
        return [[job.wanted for job in of_share(jobs, Share(index, count))] for index in range(1, count + 1)]

    for count in (1, 2, 3, 7, 64, 200):
        shares = names(count)
        assert sorted(sum(shares, [])) == sorted({*wanted, *paths["val"]})
        # Videos of one name may be one download.
        stems = [{os.path.basename(path).split(".")[0] for path in share} for share in shares]
        assert sum(map(len, stems)) == len(set().union(*stems)) == 51
        assert max(map(len, stems)) - min(map(len, stems)) <= 1
        (tmp_path / "in/b").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"in/b/v{count}.mp4").write_bytes(b"x" * count)
        assert names(count) == shares


@pytest.mark.parametrize("share", ["0/3", "4/3", "1/0", "-1/3", "1", "a/b", "1/3/3", "1.0/3", "", "/", "1/", "٣/٣"])
def test_shares_that_do_not_exist_are_refused(downloads, tmp_path, share):
    with pytest.raises(SystemExit) as ended:
        run_command("prepare", words(downloads, tmp_path, f"--shard={share}"))
    assert ended.value.code == 2 and not (tmp_path / "shares").exists()


def test_shares_that_do_not_fit_are_one_line(downloads, tmp_path):
    out = tmp_path / "out"
    assert "no share has been prepared" in prepare(downloads, out, "--merge", code=2)
    prepare(downloads, out, "--shard", "2/3")
    text = prepare(downloads, out, "--merge", code=2)
    assert "--shard 1/3 (not begun), --shard 3/3 (not begun)" in text
    assert "it is --shard 1/2" in prepare(downloads, out, "--shard", "1/2", code=2).replace("this", "it")
    assert "another --short-side (32, now 48)" in prepare(downloads, out, "--shard", "1/3", "--short-side", 48, code=2)
    other = tmp_path / "other"
    other.mkdir()
    (other / "train.csv").write_text((downloads / "train.csv").read_text() + "walk,more,0,10,train\n")
    text = prepare(downloads, out, "--shard", "3/3", "--annotations", other, code=2)
    assert "another content of the label files" in text
    # Two machines, one share; a run over all videos has to wait, too.
    with FolderLock(str(out / "shares/2-of-3")):
        child = begin(downloads, out, "--shard", "2/3")
        child.join(60)
        assert child.exitcode == 2
        child = begin(downloads, out)
        child.join(60)
        assert child.exitcode == 2
    for index in (1, 3):
        prepare(downloads, out, "--shard", f"{index}/3")
    os.remove(out / "videos/run/b_000000_000010.mp4")
    assert "share 2/3 has prepared it, but it is not there" in prepare(downloads, out, "--merge", code=2)
    prepare(downloads, out, "--shard", "2/3")
    assert "prepared" in prepare(downloads, out, "--merge")
    # Given again when all is done, it finds what is there; a second merge says the same of the problems.
    problems = (out / "problems.csv").read_text()
    prepare(downloads, out, "--shard", "1/3")
    prepare(downloads, out, "--merge")
    assert (out / "problems.csv").read_text() == problems.replace("train,prepared,", "train,there,")


def test_what_crashed_in_a_share_is_tried_again_when_it_has_been_replaced(downloads, tmp_path):
    for index in (1, 2):
        prepare(downloads, tmp_path, "--shard", f"{index}/2")
    for index in (1, 2):
        record = tmp_path / f"shares/{index}-of-2/videos.jsonl"
    record = next(path for path in tmp_path.glob("shares/*/videos.jsonl") if "torn_" in path.read_text())
    lines = [json.loads(line) for line in record.read_text().split("\n")[:-1]]
    for line in lines:
        if line.get("state") == "unreadable":
            line["reason"] = "crashed the decoder: so"
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = prepare(downloads, tmp_path, "--shard", record.parent.name.replace("-of-", "/"))
    assert "crashed the decoder or took too long in an earlier run; --retry tries again" in text
    prepare(downloads, tmp_path, "--merge")
    table, torn = str(tmp_path / "problems.csv"), str(file_of(downloads, "torn"))
    assert "crashed the decoder: so" in open(table).read()
    wanted = next(line.split(",")[0] for line in open(table) if "torn_" in line)
    assert lost_before(table, {wanted: torn}, 10.0)
    os.utime(torn)
    # It changed before the merge, and after the share.
    prepare(downloads, tmp_path, "--merge")
    assert not lost_before(table, {wanted: torn}, 10.0)


def held_up(paths):
    """Stop the process that writes a file; gives whether one did."""
    parts = {str(path) for path in paths}
    for link in glob.iglob("/proc/[0-9]*/fd/*") if parts else ():
        with contextlib.suppress(OSError):
            if os.readlink(link) in parts:
                os.kill(int(link.split("/")[2]), signal.SIGSTOP)
                return True
    return False


@pytest.mark.slurm
@pytest.mark.skipif(bool(why_not()), reason=f"no Slurm can be started: {why_not()}")
def test_an_array_of_slurm_with_one_task_killed_is_what_one_run_prepares(downloads, single, tmp_path):
    with Slurm() as slurm:
        done = slurm.submit("prepare", words(downloads, tmp_path, "--slurm", "array=3", "cpus=1"))
        assert done.returncode == 0, done.stdout + done.stderr
        job = re.match(r"job (\d+): ", done.stdout)[1]
        # Slurm takes longer to kill it than the video to be written.
        slurm.until(lambda: held_up(tmp_path.glob("videos/walk/long*.part.mp4")), 200)
        slurm.call("scancel", "--signal=KILL", f"{job}_1")
        slurm.until(lambda: f"{job}_" not in slurm.call("squeue", "-h", "-r", "-o", "%i"), 200)
        assert "--shard 1/3 (unfinished" in prepare(downloads, tmp_path, "--merge", code=2)
        prepare(downloads, tmp_path, "--shard", "1/3")
        assert table_of(prepare(downloads, tmp_path, "--merge"))[:4] == single[1][:4]
        folders = ("videos", "lists", "problems.csv")
        ours, one = ({k: v for k, v in contents(o).items() if k.startswith(folders)} for o in (tmp_path, single[0]))
        assert ours == one

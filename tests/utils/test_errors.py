"""Errors that are no fault of the program are told in one line, whatever raised them; faults keep their traceback."""

import errno
import logging
import os
import pickle
import re
import socket
import subprocess
import sys

import av
import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.children import in_child
from helpers.mistakes import error_of, limited, not_permitted
from torch.utils.data import DataLoader, Dataset

from avslowfast import load_model
from avslowfast.checkpoint import states, tensor_files
from avslowfast.checkpoint.files import is_checkpoint_path
from avslowfast.checkpoint.record import resolve
from avslowfast.engine.meeting import MeetingError
from avslowfast.utils import errors
from avslowfast.utils.errors import may_pass, one_line, tell, UserError
from avslowfast.utils.files import replacing
from avslowfast.utils.logging import setup_logging
from avslowfast.utils.remote import is_file, RemoteError
from avslowfast.visualization.report.run import read_run


class OneOfOurs(UserError, ValueError):
    """A user's error of some part of the program."""


class Failing(Dataset):
    """Fails in a worker."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 2

    def __getitem__(self, index):
        if callable(self.error):
            self.error()
        raise self.error


def bind_twice():
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        first.listen()
        second.bind(first.getsockname())


def decode():
    b"abc\xe9".decode()


def recurse():
    recurse()


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda d: open(d / "none"), r"none: no such file or directory; check the path$"),
        (lambda d: open(d), r": is a directory; a file is needed here, not a folder$"),
        (lambda d: open(d / "file/x"), r"file/x: not a directory; a part of the path is a file"),
        (lambda d: os.mkdir(d / "file"), r"file: file exists; choose another path"),
        (lambda d: os.rmdir(d), r": directory not empty; choose another path"),
        (lambda d: open(d / "loop"), r"loop: too many levels of symbolic links; a link leads back to itself"),
        (lambda d: open(d / ("x" * 300)), r"x: file name too long; choose a shorter name$"),
        (lambda d: os.rename(d / "none", d / "other"), r"other: no such file"),
        (lambda d: bind_twice(), r"address already in use; another job uses the port"),
        (lambda d: np.zeros(1 << 50, np.float64), r"not enough memory \(Unable to allocate .*TRAIN\.BATCH_SIZE"),
        (lambda d: torch.zeros(1 << 50), r"not enough memory.*; use smaller batches"),
        (lambda d: decode(), r"not in UTF-8 .*0xe9.*; save the file as UTF-8$"),
        (lambda d: "\udce9".encode(), r"cannot be written in this encoding"),
        (lambda d: recurse(), r"nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_of_the_system_is_one_line_with_a_remedy(tmp_path, function, words):
    (tmp_path / "file").write_text("x")
    os.symlink("loop", tmp_path / "loop")
    line = one_line(error_of(function, tmp_path))
    assert line is not None
    assert "\n" not in line

    assert re.search(words, line), line


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_path_and_remedy_of_errors_that_cannot_be_caused_here(number):
    line = one_line(OSError(number, os.strerror(number), "/data/x.pyth"))
    assert line.startswith("/data/x.pyth: ")
    assert line.endswith(errors._REMEDIES[number])


def test_a_full_disk_names_the_file_that_was_written(tmp_path):
    def write():
        with replacing(tmp_path / "x.csv"), open("/dev/full", "w") as f:
            f.write("x")

    line = one_line(error_of(write))
    assert line == f"{tmp_path}/x.csv: no space left on device; free some space, or choose another folder"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError, av.error.OSError])
def test_an_address_of_pyav_is_the_path_of_a_file(tmp_path, error):
    def write():
        with replacing(tmp_path / "x.mp4") as part:
            raise error(errno.ENOSPC, os.strerror(errno.ENOSPC), f"file:{part}")

    line = one_line(error_of(write))
    assert line == f"{tmp_path}/x.mp4: no space left on device; free some space, or choose another folder"
    assert one_line(error(errno.ENOENT, "No such file", "file:x.mp4")) == "x.mp4: no such file; check the path"


def test_a_state_that_cannot_be_written_whole_is_one_line(tmp_path):
    line = limited(states.save, {"x": torch.zeros(100_000)}, tmp_path / "x.pyth")
    assert re.fullmatch(rf"{tmp_path}/x.pyth: cannot be written \(File too large; .* GB are free .*\)", line), line
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("function", [is_file, resolve, is_checkpoint_path, read_run, load_model])
def test_what_may_not_be_entered_is_not_said_to_be_missing(tmp_path, function):
    (tmp_path / "shut").mkdir()
    line = not_permitted(tmp_path / "shut", function, str(tmp_path / "shut/run"))
    assert line.startswith(f"{tmp_path}/shut/run: permission denied; change its permissions"), line


def test_a_state_that_may_not_be_written_is_no_matter_of_space(tmp_path):
    (tmp_path / "shut").mkdir()
    line = not_permitted(tmp_path / "shut", states.save, {}, tmp_path / "shut/x.pyth")
    assert "(Permission denied; change the permissions of " in line, line


def write_by_torch(path):
    with replacing(path) as part:
        torch.save({"x": torch.zeros(100_000)}, part)


def write_by_safetensors(path):
    tensor_files.write({"x": torch.zeros(100_000)}, {}, path)


@pytest.mark.parametrize("write", [write_by_torch, write_by_safetensors])
def test_a_library_that_cannot_write_names_the_file(tmp_path, write):
    line = limited(write, tmp_path / "x.pt")
    assert re.fullmatch(f"{tmp_path}/x.pt: (file too large|no space left on device); .*choose another folder", line)
    assert os.listdir(tmp_path) == []


def test_a_log_that_cannot_be_written_is_said_once(tmp_path):
    (tmp_path / "stdout.log").symlink_to("/dev/full")

    def log():
        setup_logging(str(tmp_path))
        for n in range(3):
            logging.getLogger("avslowfast.x").info("line %d", n)

    ended = in_child(tmp_path, log)
    assert ended.code == 0
    assert ended.text.count("stdout.log: cannot be written (No space left on device)") == 1
    assert "Traceback" not in ended.text
    assert "line 2" in ended.text


@pytest.mark.parametrize(
    "text, words",
    [
        ("unable to allocate shared memory(shm) for file </torch_1_2_3>: Success (0)", "--shm-size"),
        ("unable to mmap 144 bytes from file </torch_1_2_3>: Cannot allocate memory (12)", "--shm-size"),
        ("unable to write to file </torch_1_2_3>: No space left on device (28)", "--shm-size"),
        ("DataLoader worker (pid 9) is killed by signal: Bus error. It is possible that", "--shm-size"),
        ("The server socket has failed to listen on any local network address. port: 9, code: -98, name: EADDRINUSE",
         "the port is in use"),
        ("CUDA out of memory. Tried to allocate 20.00 GiB.", "not enough memory"),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.", "not enough memory"),
        ("[enforce fail at inline_container.cc:672] . unexpected pos 900864 vs 900760", "could not be written whole"),
        ("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file data/0",
         "could not be written whole"),
    ],
)  # fmt: skip
def test_what_torch_says_of_the_machine_is_one_line(text, words):
    assert words in one_line(RuntimeError(text))
    assert one_line(KeyError(text)) is None


@pytest.mark.parametrize(
    "error", [KeyError("x"), RuntimeError("The size of tensor a (3) must match"), AssertionError(), ValueError("x")]
)
def test_a_fault_of_the_program_keeps_its_traceback(error, capsys):
    assert one_line(error) is None
    assert not tell(error)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error, expected",
    [
        (OneOfOurs("x.mp4: is no video; leave it out"), "x.mp4: is no video; leave it out"),
        (FileNotFoundError(2, "No such file or directory", "/x/y"), "/x/y: no such file or directory; check the path"),
        (PermissionError(13, "Permission denied", "/x/y"), "/x/y: permission denied; change its permissions, or choose "
         "another path"),
        (decode, "a text is not in UTF-8 ('utf-8' codec can't decode byte 0xe9 in position 3: unexpected end of data); "
         "save the file as UTF-8"),
        (MemoryError("9 GiB"), f"not enough memory (9 GiB); {errors._LESS_MEMORY}"),
        (KeyError("x"), None),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_an_error_of_a_loader_worker_counts_as_what_it_was_there(error, expected):
    loader = DataLoader(Failing(error), num_workers=1, multiprocessing_context="fork")
    raised = error_of(next, iter(loader))
    assert "Original Traceback" in str(raised)
    assert one_line(raised) == expected


def test_the_traceback_is_shown_where_it_is_asked_for(monkeypatch, capsys):
    monkeypatch.setenv(errors.TRACEBACK_VARIABLE, "1")
    assert tell(error_of(open, "/none"))
    lines = capsys.readouterr().err.strip().split("\n")
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "error: /none: no such file or directory; check the path"


def run(*args, **more):
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=ROOT, **more)


def test_a_command_that_meets_an_error_of_the_system_ends_with_one_line_and_code_2(tmp_path):
    (tmp_path / "file").write_text("x")
    done = run("tools/make_synthav.py", "--out", str(tmp_path / "file"), "--num-clips", "1", "1", "1")
    assert done.returncode == 2
    assert done.stderr.strip().split("\n")[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "file") in done.stderr


def test_output_that_nobody_reads_any_more_ends_without_a_traceback():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "avslowfast", "doctor"], stdout=write, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_only_what_stays_until_a_person_changes_something_is_a_mistake():
    assert not may_pass(OneOfOurs("unknown key"))
    assert not may_pass(FileNotFoundError(errno.ENOENT, "No such file or directory", "train.csv"))
    assert not may_pass(UnicodeDecodeError("utf-8", b"x", 0, 1, "invalid start byte"))
    assert may_pass(MeetingError("rank 1 was killed"))
    assert may_pass(RemoteError("no answer", unreachable=True)) and not may_pass(RemoteError("no such bucket"))
    assert may_pass(OSError(errno.ENOSPC, "No space left on device"))
    assert may_pass(MemoryError()) and may_pass(KeyError("a fault of the program"))
    # What another process raises for it says the same.
    for error in (OneOfOurs("unknown key"), MeetingError("rank 1 was killed")):
        assert may_pass(pickle.loads(pickle.dumps(UserError.like(error)))) == may_pass(error)

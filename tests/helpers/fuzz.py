"""Mutated inputs, read in forked children: crashes, hangs, hunger for memory and unexpected errors are told apart."""

import contextlib
import io
import json
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
import zipfile

from avslowfast.utils.errors import UserError

# An input that computes longer is a hang, as is one that takes so many times longer by the clock: other processes may
# keep the machine busy. Megabytes by which a child may grow over all of its inputs.
LIMIT_S = 30.0
_BUSY_TIMES = 6
LIMIT_MB = 1500
# Inputs of one child.
BATCH = 200
_TAKEN = "taken"

_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x2E, 0x28, 0x7B, 0x0A)
_NUMBERS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000, 0x100)
_FIELDS = [
    *("", " ", "nan", "inf", "-inf", "-1", "0", "1", "1.5", "1e400", "1_0", "0x10", "+3", "9" * 400, "\u0661", "true"),
    *("\ufeff", "\x00", '"', "'", ",", ";", "\t", "\r", "\n\n", "\\", "../../x", "/", "~", "=1+1", "#", "null", "None"),
    *("a" * 3000, "\u00e9\U0001f600", "\udce9", "[1, 2]", "{a: b}", "[[", "*x", "&x", "!!python/name:os.x", "- ", ": "),
    *("00:00:nan", "-5:00:05.0", "99:99:99", "c000 0 1", "|", "%s", "{}", "<<: ", "2024-11-25", "10:30", "@", "`"),
]  # fmt: skip


def mutated(data, rng, others=()):
    """Bytes with one to eight changes somewhere, more often near the beginning."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        if not data:
            return bytes(data)
        at = int(len(data) * rng.random() ** rng.choice((1, 4)))
        at = min(at, len(data) - 1)
        kind = rng.randrange(9)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice(_BYTES)
        elif kind == 2:
            value = rng.choice(_NUMBERS)
            data[at : at + 4] = struct.pack(rng.choice("<>") + "I", value)
        elif kind == 3:
            del data[at : at + rng.choice((1, 2, 4, 16, 200))]
        elif kind == 4:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 4, 30))))
        elif kind == 5:
            data[at:at] = data[at : at + rng.choice((1, 8, 64, 500))]
        elif kind == 6:
            del data[at:]
        elif kind == 7 and others:
            other = rng.choice(others)
            start = rng.randrange(max(len(other), 1))
            data[at : at + 64] = other[start : start + 64]
        else:
            data[at : at + 8] = struct.pack("<Q", rng.choice((0, 1, 1 << 31, 1 << 40, (1 << 64) - 1)))
    return bytes(data)


def mutated_text(text, rng):
    """A text with one to four of its fields, lines or letters changed."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        kind = rng.randrange(7)
        if kind == 0:
            separator = rng.choice((",", " ", ": ", '"'))
            fields = lines[at].split(separator)
            fields[rng.randrange(len(fields))] = rng.choice(_FIELDS)
            lines[at] = separator.join(fields)
        elif kind == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 2:
            del lines[at]
        elif kind == 3:
            place = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:place] + rng.choice(_FIELDS) + lines[at][place:]
        elif kind == 4:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
        elif kind == 5:
            lines[at] = lines[at] + rng.choice((",x", " 1", ",", ",,,,", '"', ":"))
        else:
            lines[at] = rng.choice(("  ", "\t", "    ")) + lines[at]
        text = "\n".join(lines)
    if rng.random() < 0.9:
        return text.encode("utf-8", "surrogatepass")
    return mutated(text.encode("utf-8", "replace"), rng)


def mutated_zip(data, rng):
    """A zip with one of its entries changed and checksums that agree again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        entries = source.infolist()
        chosen = rng.choice([e for e in entries if e.filename.endswith(".pkl")] * 4 + entries)
        for entry in entries:
            content = source.read(entry)
            target.writestr(entry.filename, mutated(content, rng) if entry is chosen else content)
    return out.getvalue()


def run(name, make, count, read, folder, seed, limit_s=LIMIT_S, limit_mb=LIMIT_MB):
    """Read `count` mutated inputs: ([description of what went wrong], number of those that were taken).

    Args:
        name: Of the kind, for messages and seeds.
        make: make(rng) -> (file name, content).
        count: Number of inputs.
        read: read(path) reads one; errors of the project's own are right.
        folder: Scratch folder; inputs that went wrong stay in it.
        seed: Of all mutations.
        limit_s: An input that computes longer is a hang, seconds.
        limit_mb: Megabytes by which a child may grow over its inputs.
    """
    problems, first, taken = [], 0, 0
    while first < count:
        last = min(first + BATCH, count)
        note = os.path.join(folder, f"{name}.json")
        done, found, ended = _batch(name, make, range(first, last), read, folder, seed, note, limit_s, limit_mb)
        problems += [f"{name}, input {number}: {text}" for number, text in found if text != _TAKEN]
        taken += sum(text == _TAKEN for _, text in found)
        if ended:
            problems.append(f"{name}, input {done}: {ended}")
        first = done + 1
    return problems, taken


def _batch(name, make, numbers, read, folder, seed, note, limit_s, limit_mb):
    """(last input that was begun, [(input, what went wrong)], how the child ended where it should not have)."""
    for path in (note, note + ".now"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        _child(name, make, numbers, read, folder, seed, note, limit_mb)
    current, since, computed = numbers[0], time.monotonic(), 0.0
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        now = _number(note + ".now", current)
        if now != current:
            current, since, computed = now, time.monotonic(), _cpu_seconds(pid)
        if ended:
            break
        if _cpu_seconds(pid) - computed > limit_s or time.monotonic() - since > _BUSY_TIMES * limit_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return current, _found(note), f"takes more than {limit_s:.0f} s"
        time.sleep(0.01)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return numbers[-1], _found(note), None
    return current, _found(note), signal.Signals(-code).name if code < 0 else f"ended the process with code {code}"


def _cpu_seconds(pid):
    """Seconds that a process has computed; 0 after its end."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _number(path, default):
    try:
        with open(path) as f:
            return int(f.read() or default)
    except (FileNotFoundError, ValueError):
        return default


def _found(note):
    if not os.path.exists(note):
        return []
    with open(note) as f:
        return [json.loads(line) for line in f]


def _child(name, make, numbers, read, folder, seed, note, limit_mb):
    try:
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in numbers:
            with open(note + ".now", "w") as f:
                f.write(str(number))
            rng = random.Random(f"{seed} {name} {number}")
            file, content = make(rng)
            path = os.path.join(folder, f"{name}-{number}-{file}")
            with open(path, "wb") as f:
                f.write(content)
            problem = _problem(read, path)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            if problem in (None, _TAKEN) and grown > limit_mb:
                problem, before = f"took {grown:.0f} MB", before + grown * 1024
            if problem in (None, _TAKEN):
                os.remove(path)
            if problem is not None:
                with open(note, "a") as f:
                    f.write(json.dumps([number, problem]) + "\n")
        os._exit(0)
    finally:
        os._exit(99)


def _problem(read, path):
    try:
        read(path)
        return _TAKEN
    except UserError as error:
        return f"an error of several lines: {error}" if "\n" in str(error) else None
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/avslowfast/" in f.filename]
        last = (ours or frames)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({os.path.basename(last.filename)}:{last.lineno})"
    return None

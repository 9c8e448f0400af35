"""A data set in tar shards, as the package webdataset reads them: `k400-train-000123.tar` with `key.mp4`, `key.json`.

What goes into which shard follows from the lists alone, so a run that was killed resumes, and packing again gives the
same bytes. A shard has its name, and then its index, when it is whole.
"""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..datasets.base import BoxLabels, Listing, Record
from ..media import DecodeError
from ..media.storage import list_folder, open_file, size_of
from ..media.tar_index import beside, BLOCK, CATALOG, COLUMNS, decoded, fits_header, read_index, whole_size
from ..utils.errors import UserError
from ..utils.files import paths_in, replacing, sweep
from ..utils.seeding import generator
from ..utils.text import counted, read_json, write_lines

# The catalog, the lists and the plan of a folder of shards.
CATALOG_FILE, PLAN_FILE = "shards.csv", "pack.json"
_CHUNK = 1 << 20


class PackingError(UserError):
    """What cannot be packed, or has been packed otherwise; the message says what to do."""


@dataclass(frozen=True)
class Entry:
    """A member of a shard.

    Attributes:
        member: Its name.
        size: Bytes.
        source: The file that is copied; "" where `content` is written.
        file: Name of that file below the folder of the videos; "" where it is no file of the data set.
        content: What is written.
    """

    member: str
    size: int
    source: str = ""
    file: str = ""
    content: bytes = b""

    @property
    def space(self) -> int:
        """Bytes that it takes in a tar, with its header."""
        return BLOCK + -(-self.size // BLOCK) * BLOCK


@dataclass(frozen=True)
class Plan:
    """What goes into which shard.

    Attributes:
        shards: {name of a tar: its members in order}.
        members: {path of a record: member that it is in, as the lists name it}.
        problems: (path, reason) of what cannot be packed.
        root: The folder below which the files have the names of the catalog.
    """

    shards: Mapping[str, list[Entry]]
    members: Mapping[str, str]
    problems: list[tuple[str, str]]
    root: str

    @property
    def fingerprint(self) -> str:
        """A hash of the shards' names and contents, as far as they are known without reading the files."""
        digest = hashlib.sha256()
        for shard, entries in self.shards.items():
            digest.update(repr((shard, [(e.member, e.size, e.content) for e in entries])).encode())
        return digest.hexdigest()


@dataclass
class _Sample:
    """A file or folder of frames, with what the records say of it."""

    split: str
    first: Record
    records: list[dict[str, Any]] = field(default_factory=list)


def plan_shards(listings: Mapping[str, Listing], folder: str, size: int, name: str) -> Plan:
    """Divide the files of some splits into shards; what several records or splits name is packed once, with the first.

    Args:
        listings: {split: its records}.
        folder: Folder of the videos.
        size: Bytes of a shard, at most; a larger video has a shard of its own.
        name: What the shards are called.

    Raises:
        PackingError: Not one file can be packed.
    """
    samples: dict[str, _Sample] = {}
    for split, listing in listings.items():
        for record in listing.records:
            sample = samples.setdefault(record.path, _Sample(split, record))
            sample.records.append({"split": split, **_described(record)})
    root = _root(samples, folder)
    shards: dict[str, list[Entry]] = {}
    members: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    keys: set[str] = set()
    for split in listings:
        paths = [path for path, sample in samples.items() if sample.split == split]
        # Readers of shards take what stands together; in many lists that is one class.
        order = generator(0, split, "pack").permutation(len(paths))
        number, space = 0, size
        for path in (paths[i] for i in order):
            try:
                entries = _entries(samples[path], root, keys)
            except (DecodeError, OSError) as error:
                problems.append((path, error.reason if isinstance(error, DecodeError) else str(error.strerror)))
                continue
            needed = sum(entry.space for entry in entries)
            if space and whole_size(space + needed) > size:
                shard, space, number = f"{name}-{split}-{number:06d}.tar", 0, number + 1
                shards[shard] = []
            shards[shard] += entries
            members[path] = f"{shard}#{entries[0].member}"
            space += needed
    if not shards:
        path, reason = problems[0]
        raise PackingError(f"not one of {counted(len(problems), 'file')} can be packed; the first: {path}: {reason}")
    return Plan(shards, members, problems, root)


def _root(samples: Mapping[str, _Sample], folder: str) -> str:
    """The folder below which the files' names count: that of the videos, else the deepest one that all share."""
    paths = list(samples)
    if all(path.startswith(f"{folder.rstrip('/')}/") for path in paths):
        return folder.rstrip("/")
    shared = os.path.commonprefix(paths)
    return shared[: shared.rfind("/")] if "/" in shared else ""


def _described(record: Record) -> dict[str, Any]:
    """What is known of a record besides its file, for JSON."""
    label = record.label
    if isinstance(label, BoxLabels):
        label = {"boxes": label.boxes.tolist(), "classes": label.classes}
    known = {"label": label, "span": record.span, "name": record.name, "group": record.group}
    if record.frame_rate:
        known["frame_rate"] = record.frame_rate
    return {name: value for name, value in known.items() if value not in (None, "")}


def _entries(sample: _Sample, root: str, keys: set[str]) -> list[Entry]:
    """The members of a sample, that of its video (or its folder of frames) first."""
    record = sample.first
    below = _below(record.path, root)
    key = _key(below if not record.frame_rate else f"{below}.frames", keys)
    entries = []
    if record.frame_rate:
        for frame in sorted(list_folder(record.path)):
            source = os.path.join(record.path, frame)
            entries.append(Entry(f"{key}/{frame}", size_of(source), source, f"{below}/{frame}"))
        if not entries:
            raise DecodeError("no frames in it", record.path)
    else:
        ending = os.path.splitext(below)[1] or ".bin"
        entries.append(Entry(f"{key}{ending}", size_of(record.path), record.path, below))
    about: dict[str, Any] = {"file": below, "records": sample.records}
    if record.audio_path and record.audio_path != record.path:
        ending = os.path.splitext(record.audio_path)[1] or ".bin"
        audio = f"{key}.audio{ending}" if entries[0].member.endswith(ending) else f"{key}{ending}"
        entries.append(Entry(audio, size_of(record.audio_path), record.audio_path, _below(record.audio_path, root)))
        about["audio"] = audio
    content = json.dumps(about, sort_keys=True).encode()
    entries.append(Entry(f"{key}.json", len(content), content=content))
    classes = {item.get("label") for item in sample.records if isinstance(item.get("label"), int)}
    if len(classes) == 1 and all("span" not in item for item in sample.records):
        content = str(classes.pop()).encode()
        entries.append(Entry(f"{key}.cls", len(content), content=content))
    return entries


def _below(path: str, root: str) -> str:
    return path[len(root) :].lstrip("/") if root and path.startswith(f"{root}/") else path.partition("://")[2] or path


def _key(name: str, keys: set[str]) -> str:
    """The key of a sample: what webdataset takes for one ends at the first dot behind the folders."""
    folder, _, file = os.path.splitext(name.strip("/"))[0].rpartition("/")
    key = base = (f"{folder}/" if folder else "") + re.sub(r"[.#]", "_", file)
    for number in range(2, len(keys) + 3):
        if key not in keys:
            break
        key = f"{base}-{number}"
    keys.add(key)
    return key


def check_plan(plan: Plan, out: str) -> None:
    """Begin a folder of shards, or see that it was begun with the same plan.

    Args:
        plan: The plan.
        out: The folder.

    Raises:
        PackingError: It holds shards of another plan.
        TextError: What it says of its plan cannot be read.
    """
    path = os.path.join(out, PLAN_FILE)
    known = {"fingerprint": plan.fingerprint, "shards": len(plan.shards)}
    if os.path.isfile(path):
        if read_json(path) != known:
            raise PackingError(
                f"{out}: it holds shards of other lists, videos or options; choose another folder, or remove it"
            )
        return
    with replacing(path) as part, open(part, "w", encoding="utf-8") as file:
        json.dump(known, file)


def write_shards(plan: Plan, out: str, verify: bool, said: Callable[[str], None]) -> tuple[int, int]:
    """Write the shards that are not there yet.

    Args:
        plan: The plan.
        out: The folder.
        verify: Read the shards that are there, too; one that is damaged is written anew.
        said: Called with a line for each shard that was damaged.

    Returns:
        (shards that were written, shards that were there).

    Raises:
        PackingError: A file has changed since the plan was made, or cannot be read.
    """
    sweep(paths_in(out))
    written = 0
    for shard, entries in plan.shards.items():
        path = os.path.join(out, shard)
        if _is_there(path, entries):
            problem = damage(path) if verify else ""
            if not problem:
                continue
            said(f"{path}: {problem}; it is written anew")
        _write(path, entries)
        written += 1
        problem = damage(path) if verify else ""
        if problem:
            raise PackingError(f"{path}: {problem}, although it was just written; check the disk")
    return written, len(plan.shards) - written


def _is_there(path: str, entries: list[Entry]) -> bool:
    """Whether a shard is whole, by its index and its size."""
    rows = _rows(path)
    return rows is not None and [(row[0], int(row[2])) for row in rows] == [(e.member, e.size) for e in entries]


def _rows(path: str) -> list[list[str]] | None:
    """The rows of a shard's index; None where the shard is not whole."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        with open(beside(path), "rb") as file:
            text = decoded(file.read())
        if read_index(text, os.path.getsize(path)) is not None:
            return list(csv.reader(io.StringIO(text)))[1:]
    return None


class _Checked:
    """A file that is copied, with the checksum of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.crc = file, 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self.crc = zlib.crc32(data, self.crc)
        return data


def _write(path: str, entries: list[Entry]) -> None:
    rows: list[tuple[object, ...]] = []
    with replacing(path) as part, open(part, "wb") as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
            for entry in entries:
                # Owner and time stay those of a fresh header, so that the same files give the same bytes.
                info = tarfile.TarInfo(entry.member)
                info.size = entry.size
                crc = _add(tar, info, entry)
                rows.append((entry.member, tar.offset - entry.space + BLOCK, entry.size, f"{crc:08x}"))
                # It keeps all of them otherwise, a kilobyte for each.
                vars(tar)["members"] = []
        out.flush()
        os.fsync(out.fileno())
    _write_table(beside(path), (COLUMNS, *rows))


def _add(tar: tarfile.TarFile, info: tarfile.TarInfo, entry: Entry) -> int:
    """Add a member; gives its checksum."""
    if not entry.source:
        tar.addfile(info, io.BytesIO(entry.content))
        return zlib.crc32(entry.content)
    try:
        with open_file(entry.source) as file:
            checked = _Checked(file)
            tar.addfile(info, checked)
            if file.read(1):
                raise OSError(errno.EIO, "it has grown")
            return checked.crc
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        reason = error.strerror or error
        raise PackingError(
            f"{entry.source}: it has changed since the shards were planned ({reason}); pack again"
        ) from None


def _write_table(path: str, rows: Iterable[Iterable[object]]) -> None:
    with replacing(path) as part, open(part, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def damage(path: str) -> str:
    """What is wrong with a shard, "" where every member has the checksum of its index.

    Args:
        path: The tar.
    """
    rows = _rows(path)
    if rows is None:
        return "its index is missing, or that of another tar"
    with open(path, "rb") as file:
        for member, offset, size, crc in rows:
            file.seek(int(offset) - BLOCK)
            if not fits_header(file.read(BLOCK), int(size)):
                return f"the header of {member} is damaged"
            found = 0
            for data in _chunks(file, int(size)):
                found = zlib.crc32(data, found)
            if f"{found:08x}" != crc:
                return f"{member} is damaged"
    return ""


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0:
        data = file.read(min(size, _CHUNK))
        if not data:
            return
        size -= len(data)
        yield data


def write_catalog(plan: Plan, out: str) -> None:
    """Write where each file is now, for `DATA.PATH_PREFIX OUT/shards.csv#`.

    Args:
        plan: The plan, whose shards are written.
        out: Their folder.
    """
    found = []
    for shard, entries in plan.shards.items():
        for entry, (member, offset, size, _) in zip(entries, _rows(os.path.join(out, shard)) or ()):
            if entry.file:
                found.append((entry.file, shard, member, offset, size))
    _write_table(os.path.join(out, CATALOG_FILE), (CATALOG, *sorted(found)))


def write_packed_lists(plan: Plan, listings: Mapping[str, Listing], out: str, separator: str) -> bool:
    """Write list files that name the members of shards, where the data set is one of whole videos with classes.

    Args:
        plan: The plan.
        listings: {split: its records}.
        out: Folder of the shards, and of the lists.
        separator: Between path and label.

    Returns:
        Whether it is such a data set.
    """
    if not all(_is_list(listing) for listing in listings.values()):
        return False
    for split, listing in listings.items():
        write_lines(
            os.path.join(out, f"{split}.csv"),
            (
                f"{plan.members[record.path]}{separator}{_label(record.label)}"
                for record in listing.records
                if record.path in plan.members
            ),
        )
    names = next((listing.class_names for listing in listings.values() if isinstance(listing.class_names, list)), None)
    if names:
        write_lines(os.path.join(out, "classes.txt"), names)
    return True


def _label(label: Any) -> str:
    return ",".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _is_list(listing: Listing) -> bool:
    return (
        listing.labels in ("class", "multi")
        and not listing.classifiers
        and all(record.span is None and not record.audio_path and not record.frame_rate for record in listing.records)
    )

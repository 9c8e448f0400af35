"""Records in columns: what goes in comes out, in little memory that forked processes share; lines by the thousand."""

import collections
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.mistakes import message_of
from hypothesis import given, settings
from hypothesis import strategies as st

from avslowfast.config import ConfigError
from avslowfast.datasets import BoxLabels, kinetics, Listing, Record, Records, tables
from avslowfast.datasets.columns import BATCH
from avslowfast.datasets.list_lines import LineForm, parse
from avslowfast.loading.survey import survey
from avslowfast.utils.seeding import generator

LABELS = {
    "class": [0, 399, -1, 70_000, 5],
    "multi": [(1, 2), (), (2**40,), (3,), ()],
    "spans": [((92, 11.9, 21.2), (147, 0.0, 12.6)), (), ((3, 0.0, 1.5),), (), ()],
    "none": [0, 0, 0, 0, 0],
}
FIELDS = [
    ("/v/a b/x.mp4", "t.csv, line 7", None, "", "", 0.0, ""),
    ("x", "video, second 0902", (0.14, 3.37), "/sounds/x.wav", "P01_0", 50.0, "P01"),
    ("s3://bucket/é/\udcff.mp4", "", (4.0, 4.0), "", "視", 0.0, "P01"),
    ("/v/1.tar#c/a.mp4", "t.csv, line 9999999999", None, "y.tar#.wav", "P01_0", 60.0, ""),
    ("/v/a b/", "t.csv, line 8", None, "y.wav", "P01_0", 60.0, ""),
]


def records(labels):
    return [Record(path, label, *others) for (path, *others), label in zip(FIELDS, LABELS[labels])]


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("count", range(len(FIELDS) + 1))
def test_records_come_out_as_they_went_in(labels, count):
    wanted = records(labels)[:count]
    packed = Records.of(iter(wanted), labels)
    assert list(packed) == wanted
    assert packed == wanted
    assert [packed[i] for i in range(-count, 0)] == wanted
    assert packed[1:] == wanted[1:]
    assert packed[::-2] == wanted[::-2]
    assert Records.join([packed, packed[:1], packed[:0]]) == wanted + wanted[:1]
    assert pickle.loads(pickle.dumps(packed)) == wanted
    assert all(type(value) in (str, int, float, tuple, type(None)) for record in packed for value in record)


def test_one_label_per_classifier_comes_out_as_a_tuple():
    packed = Records.of([Record("a", (0, 2)), Record("b", (1, -1))], "class")
    assert [record.label for record in packed] == [(0, 2), (1, -1)]


def test_boxes_come_out_with_their_classes():
    labels = [BoxLabels(np.eye(4, dtype=np.float32)[:k], tuple((1,) * i for i in range(k))) for k in (2, 0, 3)]
    packed = Records.of([Record("a", label) for label in labels], "boxes")
    for chosen in ([0, 1, 2], [2, 0], [1], []):
        for label, index in zip([record.label for record in packed.take(np.array(chosen, int))], chosen):
            assert label.classes == labels[index].classes
            assert label.boxes.dtype == np.float32
            assert label.boxes.tolist() == labels[index].boxes.tolist()


def test_records_that_do_not_exist():
    packed = Records.of(records("class"), "class")
    for index in (5, -6):
        with pytest.raises(IndexError):
            packed[index]


def test_batches_join_whatever_fields_they_have():
    wanted = [Record("a", 0)] * BATCH + [Record("/b/c.mp4", 70_000, "l, line 1", (0.0, 1.0), "a.wav", "n", 5.0, "g")]
    packed = Records.of(iter(wanted), "class")
    assert (packed[BATCH - 1], packed[BATCH], len(packed)) == (wanted[0], wanted[-1], len(wanted))


@pytest.mark.parametrize(
    "labels, label", [("class", 0.5), ("class", "3"), ("class", None), ("class", 2**70), ("class", ((1, 2), (3, 4)))]
    + [("multi", 3), ("multi", ((0, 1), (2, 3))), ("spans", (1, 2)), ("boxes", 3)],
)  # fmt: skip
def test_a_label_that_is_none_of_its_kind_is_named(labels, label):
    good = {"class": 0, "multi": (0,), "spans": (), "boxes": BoxLabels(np.zeros((0, 4)), ())}[labels]
    text = message_of(Listing, [Record("a", good), Record("b", label, "my.json, entry 7")], None, labels)
    assert text.startswith("my.json, entry 7: the label ")


def test_labels_of_different_form_are_refused():
    for mixed in ([Record("a", 0), Record("b", (0, 1))], [Record("a", 0)] * BATCH + [Record("b", (0, 1))]):
        with pytest.raises(ConfigError, match="a class id, or a tuple"):
            Listing(mixed)


def test_a_fingerprint_is_that_of_files_segments_and_labels_wherever_they_lie():
    first = Record("/a/x/1.mp4", 0, "l, line 1", (0.0, 1.0), name="n")
    second = Record("/a/y/2.mp4", 1, "l, line 2", None, name="m")

    def fingerprint(*chosen):
        return Listing(chosen).fingerprint()

    whole = fingerprint(first, second)
    moved = [record._replace(path=f"/b/c{record.path}", where="", audio_path="a") for record in (first, second)]
    assert fingerprint(*moved) == whole
    assert Listing([second, first, second]).records[1:].fingerprint() == whole
    changes = [{"path": "/a/x/3.mp4"}, {"path": "/a/z/1.mp4"}, {"label": 1}, {"span": (0.0, 2.0)}, {"name": "o"}]
    others = [fingerprint(first._replace(**change), second) for change in changes]
    assert len({whole, fingerprint(second, first), fingerprint(first), *others}) == 3 + len(changes)


@pytest.mark.parametrize(
    "names",
    [
        ["1.tar#x/1.mp4", "1.tar#2.mp4", "2.tar#x/1.mp4", "2.tar#2.mp4"],
        ["1.tar#x/1.mp4", "1.tar#x/2.mp4"],
        ["1.tar#x/1.mp4", "x/1.mp4"],
        ["x/1.mp4", "y/1.mp4", "1.mp4"],
    ],
)
def test_paths_of_which_some_lie_in_tar_files(names):
    def listing(start, names=names):
        return Listing([Record(f"{start}{name}", 0, f"l, line {i}") for i, name in enumerate(names)])

    assert list(listing("/a/").records.paths) == [f"/a/{name}" for name in names]
    assert listing("/b/c/").fingerprint() == listing("/a/").fingerprint() == listing("").fingerprint()
    assert listing("", names[::-1]).fingerprint() != listing("").fingerprint()
    spelled = [f"/a/../a/./{names[0]}", f"/a/{names[-1]}/.", f"/a/{names[0]}"]
    whole = listing("", [f"/a/{name}" for name in names] + spelled)
    assert whole.records.paths.count_distinct() == len(names) + 2
    facts = survey({"train": whole}, {"": 1}).splits["train"]
    assert facts.files == len(names)
    assert facts.repeated == [f"l, line {len(names) + i}" for i in range(3)]


# ---- list files -------------------------------------------------------------------------------------------------

ENDS = ["\n", "\n", "\n", "\r\n", "\n\n", " \n", "\r"]
FOLDERS = ["a/", "b c/", "/abs/", "", "./", "視/", "d/e/", "s3://b/", "#", "s/1.tar#", "2.tar#a/"]
NAMES = ["x", "y.mp4", "z z.avi", "v_1", "é", "日本", "..", "", "1"]
TEXTS = ["0", "1", "07", "12", "3,4", "0,1,2", "", "x", "5,", "-1", "+2", "٣", "1000000000000", "19 "]


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    st.lists(st.tuples(*map(st.sampled_from, (FOLDERS, NAMES, [0, 0, 1], TEXTS, ENDS))), max_size=5),
    st.sampled_from([" ", ",", "\t", "  ", ", ", "é", "1"]),
    st.sampled_from(["", "/p"]),
)
def test_lines_by_the_thousand_are_those_that_are_read_one_by_one(rows, separator, prefix):
    text = "".join(
        f"{folder}{name}{'' if lacks else separator}{label}{end}" for folder, name, lacks, label, end in rows
    )
    block = tables.Block("l.csv", 5, text.replace("\r\n", "\n").replace("\r", "\n").encode() + b"\n")
    for several in (False, True):
        form = LineForm(separator, prefix, 20, several)
        if (fast := parse(block, form)) is not None:
            assert list(fast) == list(kinetics._labelled(block, form, 20, {}))
    form = LineForm(separator, prefix, None)
    if (fast := parse(block, form)) is not None:
        assert list(fast) == list(kinetics._unlabelled(block, form))


def test_ordinary_lines_are_taken_by_the_thousand():
    block = tables.Block("l.csv", 1, "a b/x.mp4 0\n\n/c/視.mp4 19\ny.mp4 3\n".encode())
    assert [record.where for record in parse(block, LineForm(" ", "/p", 20))] == [f"l.csv, line {i}" for i in (1, 3, 4)]
    assert [record.path for record in parse(block, LineForm(" ", "/p", 20))] == [
        "/p/a b/x.mp4",
        "/c/視.mp4",
        "/p/y.mp4",
    ]
    several = tables.Block("l.csv", 1, b"a.mp4 0,3\nb.mp4 19\n")
    assert [record.label for record in parse(several, LineForm(" ", "", 20, True))] == [(0, 3), (19,)]
    unlabelled = tables.Block("l.csv", 1, b"a.mp4 0\nb c.mp4\n")
    assert [record.path for record in parse(unlabelled, LineForm(" ", "", None))] == ["a.mp4", "b c.mp4"]


@pytest.fixture(scope="module")
def long_list(tmp_path_factory):
    """100,000 lines of Kinetics' kind, and what they say."""
    path, rng = tmp_path_factory.mktemp("long") / "train.csv", generator(0, "long list")
    rows = [
        (f"class {k}/{i:011d}_000001_000011.mp4", k) for i, k in enumerate(rng.integers(400, size=100_000).tolist())
    ]
    path.write_text("".join(f"{name} {k}\n" for name, k in rows))
    return str(path), rows


def test_a_long_list_needs_few_bytes_per_record(long_list):
    path, rows = long_list
    packed = kinetics.read_list(path, 400, prefix="/data")
    assert [(record.path, record.label) for record in packed] == [(f"/data/{name}", k) for name, k in rows]
    # A name of 29 bytes, its place, its folder, its label. Two million lines have to stay below 120 MB, or 60 bytes.
    assert packed.nbytes / len(packed) < 40
    # What a process that is not forked would be sent.
    assert len(pickle.dumps(packed, 5)) / len(packed) < 40


@pytest.mark.parametrize("tar", ["", "s/k400-{:06d}.tar#"])
def test_memory_while_a_long_list_is_read(long_list, tmp_path, tar):
    """Neither the file nor the columns are in memory twice: two million lines stay below 120 MB at their peak."""
    path, times = tmp_path / "train.csv", 5
    lines = Path(long_list[0]).read_text().splitlines(keepends=True) * times
    # In which of the tar files a video lies has nothing to do with its class.
    path.write_text("".join(f"{tar.format(i % 487)}{line}" for i, line in enumerate(lines)))
    code = (
        "import sys; from avslowfast.datasets import kinetics; "
        "peak = lambda: next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')); "
        "before = peak(); records = kinetics.read_list(sys.argv[1], 400, prefix='/data'); "
        "print(len(records), (peak() - before) * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    assert count == len(lines)
    # The arrays of one block are the same for a list of any length.
    assert grown < 45 * count + 15 * 2**20, grown / count


def test_workers_share_the_memory_of_a_list(long_list):
    packed = Records.join([kinetics.read_list(long_list[0], 400)] * 5)
    there, here = os.pipe()
    if not (child := os.fork()):
        before = _private_bytes()
        # Every page of it is read.
        last = collections.deque((packed[i] for i in range(0, len(packed), 10)), maxlen=1)[0]
        os.write(here, f"{_private_bytes() - before} {last.label}".encode())
        os._exit(0)
    os.close(here)
    with os.fdopen(there) as f:
        grown, label = map(int, f.read().split())
    assert os.waitpid(child, 0)[1] == 0
    assert label == packed[-10].label
    # The columns have 20 MB, Python objects would have 160, and be copied, since counts of references are written.
    assert grown < packed.nbytes / 3


def _private_bytes():
    with open("/proc/self/smaps_rollup") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith("Private_Dirty"))

"""What lists hold before any video is opened."""

import re
import time

import numpy as np
import pytest

from avslowfast.datasets import BoxLabels, Listing, Record
from avslowfast.loading.survey import survey


def videos(*rows, **facts):
    return Listing([Record(path, label, f"l.csv, line {i}") for i, (path, label) in enumerate(rows, 1)], **facts)


def test_videos_files_and_classes_are_counted():
    found = survey({"train": videos(("a", 0), ("b", 1)), "val": videos(("c", 0))}, {"": 3})
    assert [(facts.records, facts.files) for facts in found.splits.values()] == [(2, 2), (1, 1)]
    assert found.splits["train"].classes[""].counts == {0: 1, 1: 1}
    assert found.splits["train"].classes[""].empty == [2]
    assert found.splits["val"].classes[""].empty == [1, 2]
    assert found.shared == {}


def test_the_table_names_list_and_sizes_of_classes():
    train = videos(*[(f"{i}", (0, 2, 2, 2)[i]) for i in range(4)], class_names=["walk", "run", "sit"])
    found = survey({"train": train, "val": videos(("x", 1)), "test": videos(("y", 0), labels="none")}, {"": 3})
    facts = found.splits["train"].classes[""]
    assert (facts.smallest, facts.largest, found.splits["train"].lists) == (0, 2, ["l.csv"])
    rows = [re.split("  +", line) for line in found.lines({"missing": {"train": "1 of 4", "val": "0 of 1"}})[:4]]
    assert rows[0][4:6] == ["smallest class", "largest class"] and rows[0][-2:] == ["missing", "list"]
    assert rows[1] == ["train", "4", "4", "2 of 3", "1 (walk)", "3 (sit)", "2", "0", "1 of 4", "l.csv"]
    assert rows[2] == ["val", "1", "1", "1 of 3", "1 (run)", "1 (run)", "1", "0", "0 of 1", "l.csv"]
    assert rows[3] == ["test", "1", "1", "none", "none", "none", "none", "0", "none", "l.csv"]


def test_lines_that_are_there_twice_are_named():
    facts = survey({"train": videos(("a", 0), ("b", 1), ("a", 0), ("a", 0))}, {"": 2}).splits["train"]
    assert facts.repeated == ["l.csv, line 3", "l.csv, line 4"]
    assert facts.contradicted == []
    assert facts.files == 2


@pytest.mark.parametrize("other", ["./a", "x/../a", ".//a", "./x/.././a"])
def test_a_file_is_the_same_by_another_spelling(other):
    assert len(survey({"train": videos(("a", 0), (other, 0))}, {"": 1}).splits["train"].repeated) == 1


def test_a_file_with_two_labels_is_named():
    found = survey({"train": videos(("a", 0), ("a", 1))}, {"": 2})
    assert found.splits["train"].contradicted == ["l.csv, line 2"]
    assert "two labels" in found.notes()[0]
    assert "the first: l.csv, line 2" in found.notes()[0]


def test_videos_of_two_splits_are_counted_in_both_directions():
    train, val, test = videos(("a", 0), ("b", 0)), videos(("b", 0), ("c", 0)), videos(("c", 0))
    found = survey({"train": train, "val": val, "test": test}, {"": 1})
    assert found.shared == {("train", "val"): 1, ("val", "test"): 1}
    assert "val: 1 of 2 videos are also in train" in found.notes()


def test_empty_and_rare_classes_are_named():
    train = videos(*[(f"{i}", i // 10) for i in range(12)], class_names=["walk", "run", "sit"])
    found = survey({"train": train}, {"": 3})
    assert "train: 2 of 3 classes have videos; classes without a video: sit" in found.notes()
    assert "train: 1 class has fewer than 5 videos: run" in found.notes()


def test_many_empty_classes_are_a_short_line():
    note = survey({"train": videos(*[(f"{i}", i % 4) for i in range(40)])}, {"": 400}).notes()[0]
    assert note == "train: 4 of 400 classes have videos; classes without a video: 4, 5, 6, 7, 8 and 391 more"


def test_segments_of_one_file_are_no_duplicates():
    records = [Record("v", 0, f"l, line {i}", (start, start + 1)) for i, start in enumerate((0, 1, 1), 1)]
    facts = survey({"train": Listing(records)}, {"": 1}).splits["train"]
    assert (facts.records, facts.files, facts.repeated) == (3, 1, ["l, line 3"])


def test_several_classifiers_are_counted_apart():
    listing = Listing([Record("a", (0, 2)), Record("b", (1, -1))], classifiers=("verb", "noun"))
    classes = survey({"train": listing}, {"verb": 2, "noun": 3}).splits["train"].classes
    assert classes["verb"].counts == {0: 1, 1: 1}
    assert classes["noun"].counts == {2: 1}


@pytest.mark.parametrize(
    "kind, label, counts",
    [
        ("multi", (0, 2), {0: 1, 2: 1}),
        ("spans", ((1, 0.0, 1.0), (1, 2.0, 3.0)), {1: 1}),
        ("boxes", BoxLabels(np.zeros((2, 4), np.float32), ((1,), (1, 3))), {0: 2, 2: 1}),
    ],
)
def test_every_kind_of_labels_is_counted(kind, label, counts):
    listing = Listing([Record("a", label), Record("b", label)][:1], labels=kind)
    assert survey({"train": listing}, {"": 3}).splits["train"].classes[""].counts == counts


def test_lists_without_labels_have_no_classes():
    found = survey({"train": Listing([Record("a"), Record("a")], labels="none")}, {"": 3})
    assert found.splits["train"].classes == {}
    assert len(found.splits["train"].repeated) == 1
    assert found.lines()[1].split() == ["train", "2", "1", *["none"] * 4, "1", "none"]


def test_predicted_boxes_without_actions_have_no_classes():
    boxes = BoxLabels(np.zeros((2, 4), np.float32), ((), ()))
    found = survey({"val": Listing([Record("a", boxes)], labels="boxes")}, {"": 80})
    assert found.splits["val"].classes == {} and found.notes() == []


def test_lists_in_order_give_the_table_alone():
    train = videos(*[(f"t{i}", i % 2) for i in range(20)])
    found = survey({"train": train, "val": videos(("a", 0), ("b", 1))}, {"": 2})
    assert [re.split("  +", line) for line in found.lines()] == [
        ["split", "records", "files", "classes", "smallest class", "largest class", "rare", "duplicates", "list"],
        ["train", "20", "20", "2 of 2", "10 (0)", "10 (0)", "0", "0", "l.csv"],
        ["val", "2", "2", "2 of 2", "1 (0)", "1 (0)", "2", "0", "l.csv"],
    ]


def test_long_lists_take_seconds():
    listing = Listing([Record(f"/videos/class/{i}.mp4", i % 400) for i in range(300_000)])
    began = time.process_time()
    survey({"train": listing, "val": listing}, {"": 400})
    # Two passes over 300,000 records take 0.4 s; comparing each with each would take hours.
    assert time.process_time() - began < 10

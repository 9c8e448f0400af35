"""The real label files of the data sets: counts, classes, times; and files in their formats, with mistakes."""

import csv

import numpy as np
import pytest
import torch
from helpers import tiny_cfg

from avslowfast.config import ConfigError
from avslowfast.datasets import ava, epic
from avslowfast.datasets.ave import read_annotations
from avslowfast.datasets.kinetics import read_crawled
from avslowfast.datasets.kinetics_sounds import CLASSES_31, CLASSES_32
from avslowfast.loading import build_dataset

HEADS = ("MULTI_HEAD.NAMES", ["verb", "noun"], "MULTI_HEAD.LOSS_WEIGHTS", [0.5, 0.5], "MULTI_HEAD.NUM_CLASSES")


def dataset(name, folder, split, *overrides):
    return build_dataset(
        tiny_cfg("TRAIN.DATASET", name, "TEST.DATASET", name, "DATA.PATH_TO_DATA_DIR", str(folder), *overrides), split
    )


@pytest.mark.shared
@pytest.mark.parametrize(
    "name, split, overrides, count",
    [
        ("epic55", "train", ("DATA.TRAIN_PART", "all"), 28472),
        ("epic55", "train", (), 23191),
        ("epic55", "val", (), 5281),
        ("epic55", "test", (), 5281),
        ("epic55", "test", ("DATA.TEST_PART", "s1"), 8047),
        ("epic55", "test", ("DATA.TEST_PART", "s2"), 2929),
        ("epic100", "val", (), 9668),
    ],
)
def test_epic_kitchens_has_its_segments(shared, name, split, overrides, count):
    sizes = list(epic.SIZES[name].values())
    data = dataset(name, shared / f"annotations/{name}", split, *HEADS, sizes, *overrides)
    assert len(data) == count
    assert len({r.name for r in data.records}) == count
    assert all(r.span[0] < r.span[1] < 7200 for r in data.records)
    assert [len(data.class_names[h]) for h in ("verb", "noun")] == sizes
    labels = np.array([r.label for r in data.records])
    unlabelled = overrides[-1:] in (("s1",), ("s2",))
    assert (labels == -1).all() if unlabelled else labels.min() == 0 and (labels.max(axis=0) < sizes).all()
    if name == "epic55" and split == "train" and not overrides:
        assert {r.path.split("/")[-2] for r in data.records} <= {f"P{i:02d}" for i in range(1, 26)}
        first = data.records[0]
        assert first.path.endswith("P01/P01_01.MP4")
        assert first.span == (0.14, 3.37)
        assert first.label == (2, 8)


@pytest.mark.shared
def test_epic_100s_unseen_and_tail_groups(shared):
    folder = shared / "annotations/epic100"
    unseen, verbs, nouns = epic.read_groups_100(folder)
    table = epic.read_validation("epic100", folder)
    rare_verb, rare_noun = table.verb_class.isin(verbs), table.noun_class.isin(nouns)
    assert (
        table.participant_id.isin(unseen).sum(),
        rare_verb.sum(),
        rare_noun.sum(),
        (rare_verb | rare_noun).sum(),
    ) == (1065, 1760, 1900, 3105)
    assert [len(part) for part in epic.read_many_shot(shared / "annotations/epic55")] == [26, 71, 819]


@pytest.mark.shared
def test_a_single_classifier_learns_verb_or_noun(shared):
    nouns = dataset("epic100", shared / "annotations/epic100", "val", "DATA.TARGET", "noun", "MODEL.NUM_CLASSES", 300)
    assert nouns.records[0].label == 2
    assert nouns.label(0).dim() == 0
    assert len(nouns.class_names) == 300
    with pytest.raises(
        ConfigError, match=r"EPIC_100_validation.csv, line \d+: noun \d+ is outside 0..99; epic100 has 300"
    ):
        dataset("epic100", shared / "annotations/epic100", "val", "DATA.TARGET", "noun", "MODEL.NUM_CLASSES", 100)


@pytest.mark.shared
def test_kinetics_ave_and_ava(shared):
    assert len(read_crawled(shared / "annotations/kinetics400/kinetics-400_val.csv")) == 19906
    for count in (31, 32):
        data = dataset("kinetics_sounds", shared / "annotations/kinetics400", "val", "MODEL.NUM_CLASSES", count)
        # Every name of the list is one of Kinetics-400.
        assert {r.label for r in data.records} == set(range(count))
    rows = read_annotations(shared / "annotations/ave/Annotations.txt")
    assert len(rows) == 4143
    assert len({row[0] for row in rows}) == 28
    assert sum(row[3] == row[4] for row in rows) == 1
    assert all(0 <= row[3] <= row[4] <= 10 for row in rows)
    names = ava.read_label_map(shared / "annotations/ava/ava_action_list_v2.1_for_activitynet_2018.pbtxt")
    left_out = {2, 16, 18, 19, 21, 23, 25, 31, 32, 33, 35, 39, 40, 42, 44, 50, 53, 55, 71, 75}
    assert set(names) == set(range(1, 81)) - left_out
    assert names[1] == "bend/bow (at the waist)"


def test_the_lists_of_kinetics_sounds():
    assert len(set(CLASSES_31)) == 31
    assert set(CLASSES_32) - set(CLASSES_31) == {"strumming guitar"}
    assert list(CLASSES_32) == sorted(CLASSES_32)


def test_time_stamps_may_have_any_number_of_decimals():
    assert [epic.seconds(t) for t in ("00:00:01", "00:01:00.5", "01:02:03.456")] == [1, 60.5, 3723.456]


def test_charades_reads_official_files_and_frame_lists(tmp_path):
    with open(tmp_path / "Charades_v1_train.csv", "w", newline="") as f:
        csv.writer(f).writerows(
            [
                ["id", "script", "actions", "length"],
                ["46GP8", "a, b", "c092 11.90 21.20;c147 0.00 12.60", "24.8"],
                ["N11GT", "", "", "10"],
            ]
        )
    keys = ("DATA.MULTI_LABEL", True, "MODEL.LOSS_FUNC", "bce_logit", "MODEL.HEAD_ACT", "sigmoid")
    args = (*keys, "MODEL.NUM_CLASSES", 157)
    data = dataset("charades", tmp_path, "train", *args, "DATA.PATH_PREFIX", "/v")
    assert data.records[0].path == "/v/46GP8.mp4"
    assert data.records[0].label == ((92, 11.9, 21.2), (147, 0.0, 12.6))
    assert data.records[1].label == ()
    for span, classes in (
        ((0, 2), {147}),
        ((12, 13), {92, 147}),
        ((15, 16), {92}),
        ((22, 23), set()),
        (None, {92, 147}),
    ):
        assert set(torch.nonzero(data.label(0, span)).flatten().tolist()) == classes
    (tmp_path / "frames").mkdir()
    lines = [
        f'46GP8 0 {i} 46GP8/46GP8-{i + 1:06d}.jpg "{"3" if i < 48 else "3,5" if i < 72 else ""}"' for i in range(96)
    ]
    (tmp_path / "frames/train.csv").write_text(
        "original_vido_id video_id frame_id path labels\n" + "\n".join(lines) + "\n"
    )
    record = dataset("charades", tmp_path / "frames", "train", *args).records[0]
    assert record.label == ((3, 0.0, 3.0), (5, 2.0, 3.0))
    assert record.frame_rate == 24
    assert record.path.endswith("frames/46GP8")
    with pytest.raises(ConfigError, match="DATA.MULTI_LABEL is False.*charades"):
        dataset("charades", tmp_path, "train")
    with pytest.raises(ConfigError, match=r"Charades_v1_train.csv, line 2: the class 92 is outside 0..9"):
        dataset("charades", tmp_path, "train", *args[:-1], 10)


def test_ave_labels_second_by_second(tmp_path):
    (tmp_path / "Annotations.txt").write_text(
        "Category&VideoID&Quality&StartTime&EndTime\nMale speech, man speaking&a&good&0&10\nBark&b&good&2&5\n"
    )
    (tmp_path / "trainSet.txt").write_text("Bark&b&good&2&5\n")
    data = dataset("ave", tmp_path, "train", "MODEL.NUM_CLASSES", 3)
    assert [r.label for r in data.records] == [2, 2, 0, 0, 0, 2, 2, 2, 2, 2]
    assert data.records[3].span == (3, 4)
    assert data.class_names == ["Bark", "Male speech, man speaking", "background"]
    with pytest.raises(ConfigError, match="set it to 3"):
        dataset("ave", tmp_path, "train", "MODEL.NUM_CLASSES", 29)
    (tmp_path / "trainSet.txt").write_text("Bark&b&good&2\n")
    with pytest.raises(ConfigError, match="trainSet.txt, line 1: not 'Category"):
        dataset("ave", tmp_path, "train", "MODEL.NUM_CLASSES", 3)


def test_vggsound_numbers_its_classes_by_the_alphabet(tmp_path):
    (tmp_path / "vggsound.csv").write_text('a,5,"dog barking, howling",train\nb,30,zither,test\n')
    data = dataset("vggsound", tmp_path, "train", "MODEL.NUM_CLASSES", 2)
    assert [(r.path, r.label) for r in data.records] == [(f"{tmp_path}/a_000005.mp4", 0)]
    assert data.class_names == ["dog barking, howling", "zither"]
    assert dataset("vggsound", tmp_path, "val", "MODEL.NUM_CLASSES", 2).records[0].label == 1


def test_ucf101_reads_the_lists_of_a_split(tmp_path):
    (tmp_path / "classInd.txt").write_text("1 ApplyEyeMakeup\n2 Archery\n")
    (tmp_path / "trainlist02.txt").write_text("Archery/v_Archery_g01_c01.avi 2\n")
    (tmp_path / "testlist02.txt").write_text("ApplyEyeMakeup/v_A_g01_c01.avi\n")
    args = ("MODEL.NUM_CLASSES", 2, "DATA.FOLD", 2)
    record = dataset("ucf101", tmp_path, "train", *args).records[0]
    assert record[:2] == (f"{tmp_path}/Archery/v_Archery_g01_c01.avi", 1)
    assert dataset("ucf101", tmp_path, "test", *args).records[0].label == 0
    with pytest.raises(ConfigError, match="trainlist01.txt"):
        dataset("ucf101", tmp_path, "train", "MODEL.NUM_CLASSES", 2)


def test_hmdb51_reads_the_lists_of_all_classes(tmp_path):
    for name in ("clap", "wave"):
        (tmp_path / f"{name}_test_split1.txt").write_text(f"{name} a (1).avi 1 \n{name}_b.avi 2\n{name}_c.avi 0\n")
    train, test = (dataset("hmdb51", tmp_path, split, "MODEL.NUM_CLASSES", 2) for split in ("train", "test"))
    assert [r[:2] for r in train.records] == [
        (f"{tmp_path}/clap/clap a (1).avi", 0),
        (f"{tmp_path}/wave/wave a (1).avi", 1),
    ]
    assert [r.path.split("/")[-1] for r in test.records] == ["clap_b.avi", "wave_b.avi"]
    with pytest.raises(ConfigError, match="DATA.FOLD is 4"):
        dataset("hmdb51", tmp_path, "train", "MODEL.NUM_CLASSES", 2, "DATA.FOLD", 4)


def test_classifiers_that_a_data_set_cannot_feed_are_refused(tmp_path):
    (tmp_path / "train.csv").write_text("x.mp4 0\n")
    with pytest.raises(ConfigError, match="'kinetics' has no labels for 'verb'"):
        dataset("kinetics", tmp_path, "train", *HEADS, [3, 4])
    with pytest.raises(ConfigError, match="EPIC_train_action_labels.csv.*DATASETS.md"):
        dataset("epic55", tmp_path, "train", *HEADS, [125, 352])

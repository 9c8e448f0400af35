"""Label files with mistakes: one line each, with file and line; what looks odd but is right is taken."""

import os
import re
from dataclasses import replace

import pytest
from helpers.mistakes import BOM, message_of, write

from avslowfast.config.names import DATASETS
from avslowfast.datasets import epic, Source
from avslowfast.datasets.kinetics import read_crawled_splits, read_list, read_unlabelled
from avslowfast.datasets.tables import check_distinct, check_span, csv_rows, number, split_rows, whole_number

# ---- numbers ----------------------------------------------------------------------------------------------------

NO_NUMBERS = ["", " ", "x", "1_0", "٣", "１", "0x10", "1,0", "--1", "1 0", "None", "1e", "½"]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1.0", "1e3", "nan", "inf", "²", "9" * 5000])
def test_no_whole_number(text):
    assert "l.csv, line 3: the label is " in message_of(whole_number, text, "l.csv, line 3", "the label")


@pytest.mark.parametrize("text", [*NO_NUMBERS, "nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e400", "1_0.5"])
def test_no_finite_number(text):
    assert "l.csv, line 3: x1 is " in message_of(number, text, "l.csv, line 3", "x1")


@pytest.mark.parametrize("text, value", [("3", 3), ("+3", 3), (" 7 ", 7), ("007", 7), ("-0", 0)])
def test_whole_numbers_as_people_write_them(text, value):
    assert whole_number(text, "", "") == value


@pytest.mark.parametrize("text, value", [("3", 3), (".5", 0.5), ("5E-01", 0.5), ("1e-05", 1e-5), ("+2.", 2)])
def test_numbers_as_people_write_them(text, value):
    assert number(text, "", "") == value


@pytest.mark.parametrize(
    "value, lowest, highest, said",
    [("-1", 0, None, "below 0"), ("5", None, 4, "above 4"), ("5", 0, 4, "outside 0..4"), ("-7", 0, 4, "outside 0..4")],
)
def test_numbers_out_of_range(value, lowest, highest, said):
    assert said in message_of(whole_number, value, "f, line 1", "the id", lowest, highest)
    assert said in message_of(number, value, "f, line 1", "the id", lowest, highest)


@pytest.mark.parametrize("start, stop", [(2, 1), (1, 1), (1e9, 0)])
def test_spans_that_end_before_they_begin(start, stop):
    assert "f, line 1: the stop" in message_of(check_span, start, stop, "f, line 1")


@pytest.mark.parametrize(
    "names, said", [(["a", "b", "a"], "class 0 and the class 2"), (["a", ""], "class 1 has no name")]
)
def test_names_that_cannot_be_keys(names, said):
    assert said in message_of(check_distinct, names, "classes.txt", "class")


# ---- text -------------------------------------------------------------------------------------------------------

ENCODINGS = [
    ("UTF-16", "a b\n".encode("utf-16"), "UTF-16"),
    ("Latin-1", b"a b\ncaf\xe9 0\n", "line 2.*not UTF-8"),
    ("binary", bytes(range(256)), "not UTF-8"),
    ("null", b"a b\n\0 1\n", "line 2.*null character"),
    ("UTF-32", "a b\n".encode("utf-32"), "UTF-16"),
]


@pytest.mark.parametrize("name, content, said", ENCODINGS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("file", ["train.csv", "classes.txt"])
def test_other_encodings_of_lists(tmp_path, name, content, said, file):
    write(tmp_path, "train.csv", "a.mp4 0\n")
    write(tmp_path, file, content)
    text = message_of(DATASETS["kinetics"], Source(str(tmp_path), num_classes=1), "train")
    assert file in text
    assert re.search(said, text), text


@pytest.mark.parametrize(
    "rows, said",
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("a,c\n1,2\n", "line 1: no column 'b'"),
        ("a,b,b\n1,2,3\n", "line 1: more than one column 'b'"),
        ("a,b\n1,2\n\n1\n", "line 4: 1 fields, but the header has 2"),
        ("a,b\n1,2,3\n", "line 2: 3 fields, but the header has 2"),
        ('a,b\n1,2\n"1,2\n', "line 3: no CSV"),
        ('a,b\n"1"x,2\n', "line 2: no CSV"),
        ('a,b\n"x\ny",2\n3\n', "line 4: 1 fields"),
        ("a,b\n" + "x" * 200_000 + ",1\n", "line 2: no CSV"),
    ],
)
def test_tables_that_are_none(tmp_path, rows, said):
    assert f"x.csv{said}".replace("x.csvline", "x.csv, line").replace("x.csvthe", "x.csv: the") in message_of(
        csv_rows, write(tmp_path, "x.csv", rows), ("a", "b")
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(tmp_path, end):
    path = write(tmp_path, "x.csv", f"{BOM}a,b{end}1,2{end}3,4{end}")
    assert [row for row, _ in csv_rows(path, ("a",))] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert [where.rpartition(" ")[2] for _, where in split_rows(path)] == ["1", "2", "3"]


@pytest.mark.parametrize("name", ["train.csv", "classes.txt"])
def test_a_pipe_in_place_of_a_list_is_not_waited_for(tmp_path, name):
    write(tmp_path, "train.csv", "a.mp4 0\n")
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    if name == "train.csv":
        assert name in message_of(DATASETS["kinetics"], Source(str(tmp_path), num_classes=1), "train")
    assert "no regular file" in message_of(read_list, str(tmp_path / name), 1)


# ---- lists ------------------------------------------------------------------------------------------------------

LISTS = [
    ("a.mp4\n", "line 1: no label"),
    (" 0\n", "line 1: no label"),
    ("a.mp4 cat\n", "line 1: the label 'cat' is no class id .*header"),
    ("path label\na.mp4 0\n", "line 1.*header"),
    ("a.mp4 0\na.mp4 cat\n", "line 2: the label 'cat' is no class id [^;]*$"),
    ("# comment\na.mp4 0\n", "line 1.*comment"),
    ("# comment 1\na.mp4 0\n", "line 1.*comment"),
    ("#a 1\na.mp4 0\n", "line 1.*comment"),
    ("a.mp4 0\n# b.mp4 1\n", "line 2.*comment"),
    ("a.mp4 0\n## b.mp4 1\n", "line 2.*comment"),
    ("a.mp4 -1\n", "line 1: the class -1 is outside 0..3"),
    ("a.mp4 4\n", "line 1: the class 4 is outside 0..3"),
    ("a.mp4 0_1\n", "line 1: the label '0_1' is no class id"),
    ("a.mp4 1.0\n", "line 1: the label '1.0' is no class id"),
    ("a.mp4 1e0\n", "line 1: the label '1e0' is no class id"),
    ("a.mp4 nan\n", "line 1: the label 'nan' is no class id"),
    ("a.mp4 ٣\n", "line 1: the label '٣' is no class id"),
    (f"a.mp4 {'9' * 5000}\n", "line 1: the label '999"),
    ("a.mp4 1000000000000\n", "line 1: the class 1000000000000 is outside"),
    ("a.mp4\t0\n", "line 1: no label"),
    ("a.mp4,0\n", "line 1: no label"),
    ("", "the list is empty"),
    ("\n \n", "the list is empty"),
]


@pytest.mark.parametrize("text, said", LISTS, ids=range(len(LISTS)))
def test_lists_with_mistakes(tmp_path, text, said):
    message = message_of(read_list, str(write(tmp_path, "train.csv", text)), 4)
    assert message.startswith(str(tmp_path / "train.csv"))
    assert re.search(said, message), message


@pytest.mark.parametrize(
    "text, paths",
    [
        (f"{BOM}a.mp4 0\n", ["a.mp4"]),
        ("a b.mp4 0\n", ["a b.mp4"]),
        ("#20_Rhythm_clap.avi 0\n", ["#20_Rhythm_clap.avi"]),
        ("./# a.mp4 0\n", ["./# a.mp4"]),
        ("a.mp4 0   \r\n\r\nb.mp4 1\r\n", ["a.mp4", "b.mp4"]),
        ("NA 0\nnull 1\n", ["NA", "null"]),
        ("=1+1.mp4 +3\n", ["=1+1.mp4"]),
    ],
)
def test_lists_that_look_odd_and_are_right(tmp_path, text, paths):
    assert [record.path for record in read_list(str(write(tmp_path, "train.csv", text)), 4)] == paths


@pytest.mark.parametrize("text", ["0,,1", "0,x", ",", "0, ", "0,4", "0,-1"])
def test_several_labels_with_mistakes(tmp_path, text):
    path = write(tmp_path, "train.csv", f"a.mp4 0\nb.mp4 {text}\n")
    assert "train.csv, line 2: " in message_of(read_list, str(path), 4, multi_label=True)


@pytest.mark.parametrize("text", ["path\na.mp4\n", "path,label\na.mp4\n", "# a.mp4\na.mp4\n", "#\na.mp4\n", ""])
def test_lists_without_labels_with_mistakes(tmp_path, text):
    path = write(tmp_path, "v.csv", text)
    message = message_of(read_unlabelled, str(path))
    assert message.startswith(f"{path}{', line 1' if text else ': the list is empty'}")


def test_lists_without_labels(tmp_path):
    path = write(tmp_path, "v.csv", f"{BOM}a.mp4 0\nb c.mp4\n1 2\n")
    assert [record.path for record in read_unlabelled(str(path))] == ["a.mp4", "b c.mp4", "1"]


@pytest.mark.parametrize(
    "names, said",
    [
        ("a\nb\n", "2 class names, but MODEL.NUM_CLASSES is 3"),
        ("# names\na\nb\nc\n", "4 class names.*line 1 looks like a comment"),
        ("a\nb\na\n", "the name 'a' stands for the class 0 and the class 2"),
        ("a\n\nb\n a \n", "the name 'a' stands for"),
    ],
)
def test_class_names_with_mistakes(tmp_path, names, said):
    write(tmp_path, "train.csv", "a.mp4 0\n")
    write(tmp_path, "classes.txt", names)
    text = message_of(DATASETS["kinetics"], Source(str(tmp_path), num_classes=3), "train")
    assert re.search(said, text), text
    assert "classes.txt" in text


def test_a_class_may_be_called_as_a_comment_and_the_mark_is_no_part_of_its_name(tmp_path):
    write(tmp_path, "train.csv", "a.mp4 0\n")
    write(tmp_path, "classes.txt", f"{BOM}# 1\nNA\n")
    assert DATASETS["kinetics"](Source(str(tmp_path), num_classes=2), "train").class_names == ["# 1", "NA"]


# ---- label files of the data sets -------------------------------------------------------------------------------

EPIC_HEAD = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
EPIC = [
    ("P01_0,P01,P01_01,00:00:01,00:00:02,-4,3\n", "verb -4 is outside 0..96"),
    ("P01_0,P01,P01_01,00:00:01,00:00:02,,3\n", "verb is '', not a whole number"),
    ("P01_0,P01,P01_01,00:00:01,00:00:02,3,1_0\n", "noun is '1_0', not a whole number"),
    ("P01_0,P01,P01_01,00:00:01,00:00:02,3.0,1\n", "verb is '3.0', not a whole number"),
    ("P01_0,P01,P01_01,00:00:01,00:00:02,97,1\n", "verb 97 is outside 0..96"),
    ("P01_0,P01,P01_01,00:00:nan,00:00:02,3,1\n", "no time stamps HH:MM:SS"),
    ("P01_0,P01,P01_01,00:00:inf,00:00:02,3,1\n", "no time stamps HH:MM:SS"),
    ("P01_0,P01,P01_01,-5:00:01,00:00:02,3,1\n", "no time stamps HH:MM:SS"),
    ("P01_0,P01,P01_01,00:-1:01,00:00:02,3,1\n", "no time stamps HH:MM:SS"),
    ("P01_0,P01,P01_01,00:99:01,00:00:02,3,1\n", "no time stamps HH:MM:SS"),
    ("P01_0,P01,P01_01,1_0:00:01,00:00:02,3,1\n", "no time stamps HH:MM:SS"),
    ("P01_0,P01,P01_01,1.5,2.5,3,1\n", "no time stamps HH:MM:SS"),
    ("P01_0,P01,P01_01,,00:00:02,3,1\n", "no time stamps HH:MM:SS"),
    ("P01_0,P01,P01_01,00:00:05,00:00:02,3,1\n", "the stop 2 s is not after the start 5 s"),
    ("P01_0,P01,P01_01,00:00:05,00:00:05,3,1\n", "the stop 5 s is not after the start 5 s"),
    (",P01,P01_01,00:00:01,00:00:02,3,1\n", "the field 'narration_id' is empty"),
    ("P01_0,,P01_01,00:00:01,00:00:02,3,1\n", "the field 'participant_id' is empty"),
    ("P01_0,P01,,00:00:01,00:00:02,3,1\n", "the field 'video_id' is empty"),
    ("P01_0,P01\n", "2 fields, but the header has 7"),
    ("P01_0,P01,P01_01,00:00:01,00:00:02,3,1,9\n", "8 fields, but the header has 7"),
]


def epic_source(folder):
    return Source(str(folder), classifiers={"verb": 97, "noun": 300}, target="verb")


@pytest.mark.parametrize("row, said", EPIC, ids=range(len(EPIC)))
def test_epic_kitchens_rows_with_mistakes(tmp_path, row, said):
    good = "P01_9,P01,P01_01,00:00:01,00:00:02.5,3,1\n"
    write(tmp_path, "EPIC_100_train.csv", EPIC_HEAD + good + row)
    text = message_of(DATASETS["epic100"], epic_source(tmp_path), "train")
    assert text.startswith(f"{tmp_path}/EPIC_100_train.csv, line 3: {said}")


@pytest.mark.parametrize("column", ["verb_class", "noun_class"])
def test_segments_that_are_trained_and_validated_on_have_labels_and_those_of_the_test_need_none(tmp_path, column):
    text = (EPIC_HEAD + "P01_9,P01,P01_01,00:00:01,00:00:02.5,3,1\n").replace(column, "class")
    for part in ("train", "validation", "test_timestamps"):
        write(tmp_path, f"EPIC_100_{part}.csv", text)
    source = epic_source(tmp_path)
    for part, split in (("train", "train"), ("validation", "val")):
        said = message_of(DATASETS["epic100"], source, split)
        assert f"EPIC_100_{part}.csv, line 1: no column '{column}'" in said
    assert -1 in DATASETS["epic100"](replace(source, test_part="test"), "test").records[0].label


@pytest.mark.parametrize(
    "text, said",
    [
        ("id,key\n1,put\n0,take\n", "line 2: the id is '1', not 0"),
        ("id,key\n0,put\n2,take\n", "line 3: the id is '2', not 1"),
        ("id,key\n0,put\n,take\n", "line 3: the id is '', not a whole number"),
        ("id,key\n0,put\n1,\n", "line 3: the field 'key' is empty"),
        ("id,name\n0,put\n1,take\n", "line 1: no column 'key'"),
        ("<html>\n", "line 1: no column 'id'"),
    ],
)
def test_class_lists_of_epic_kitchens_with_mistakes(tmp_path, text, said):
    write(tmp_path, "EPIC_100_train.csv", EPIC_HEAD + "P01_9,P01,P01_01,00:00:01,00:00:02.5,1,1\n")
    write(tmp_path, "EPIC_100_verb_classes.csv", "id,key\n0, put\n1,take\n")
    source = Source(str(tmp_path), classifiers={"verb": 2, "noun": 300}, target="verb")
    assert DATASETS["epic100"](source, "train").class_names["verb"] == ["put", "take"]
    write(tmp_path, "EPIC_100_verb_classes.csv", text)
    assert f"EPIC_100_verb_classes.csv, {said}" in message_of(DATASETS["epic100"], source, "train")


def test_epic_kitchens_100_trains_on_both_lists_or_on_one(tmp_path):
    for part, start in (("train", "00:00:01"), ("validation", "00:00:04")):
        write(tmp_path, f"EPIC_100_{part}.csv", EPIC_HEAD + f"P01_{part},P01,P01_01,{start},00:00:06,3,1\n")
    source = epic_source(tmp_path)
    both = epic.read_100(replace(source, train_part="trainval"), "train").records
    assert [(record.name, record.span) for record in both] == [("P01_train", (1, 6)), ("P01_validation", (4, 6))]
    assert epic.read_100(source, "train").records == both[:1]
    assert epic.read_100(replace(source, train_part="trainval"), "val").records == both[1:]
    said = message_of(epic.read_100, replace(source, train_part="all"), "train")
    assert said == "DATA.TRAIN_PART is 'all': EPIC-Kitchens-100 has train, trainval; use one of them"
    write(tmp_path, "EPIC_100_validation.csv", EPIC_HEAD)
    assert "EPIC_100_validation.csv: no segments" in message_of(
        epic.read_100, replace(source, train_part="trainval"), "train"
    )


def test_epic_kitchens_scores_segments_of_distinct_names(tmp_path):
    row = "P01_9,P01,P01_01,00:00:01,00:00:02.5,3,1\n"
    write(tmp_path, "EPIC_100_validation.csv", EPIC_HEAD + row + row)
    assert "the name 'P01_9' stands for" in message_of(epic.read_validation, "epic100", str(tmp_path))
    write(tmp_path, "EPIC_100_validation.csv", EPIC_HEAD)
    assert "no segments" in message_of(epic.read_validation, "epic100", str(tmp_path))


@pytest.mark.parametrize(
    "file, text, said",
    [
        ("EPIC_many_shot_verbs.csv", "verb_class,verb\n1_0,x\n", "line 2: verb_class is '1_0'"),
        ("EPIC_many_shot_nouns.csv", "noun_class,noun\n-3,x\n", "line 2: noun_class is '-3', below 0"),
        ("EPIC_many_shot_actions.csv", 'action_class\n"(1, x)"\n', "line 2: the action is '\\(1, x\\)'"),
        ("EPIC_many_shot_actions.csv", 'action_class\n__import__("os")\n', "line 2: "),
    ],
)
def test_many_shot_lists_with_mistakes(tmp_path, file, text, said):
    write(tmp_path, "EPIC_many_shot_verbs.csv", "verb_class\n1\n")
    write(tmp_path, "EPIC_many_shot_nouns.csv", "noun_class\n1\n")
    write(tmp_path, "EPIC_many_shot_actions.csv", 'action_class\n"(1, 1)"\n')
    assert epic.read_many_shot(tmp_path) == ([1], [1], [(1, 1)])
    write(tmp_path, file, text)
    message = message_of(epic.read_many_shot, tmp_path)
    assert re.search(f"{file}, {said}", message), message


CHARADES = [
    ("AAA,c001 nan 2\n", "the start is 'nan', not a finite number"),
    ("AAA,c001 -inf inf\n", "the start is '-inf', not a finite number"),
    ("AAA,c001 0 1e400\n", "the stop is '1e400', not a finite number"),
    ("AAA,c001 -1 2\n", "the start is '-1', below 0"),
    ("AAA,c001 3 2\n", "the stop 2 s is not after the start 3 s"),
    ("AAA,c0_1 1 2\n", "the class is '0_1', not a whole number"),
    ("AAA,x001 1 2\n", "no action such as"),
    ("AAA,c001 1\n", "no action such as"),
    ("AAA,c001 1 2 3\n", "no action such as"),
    ("AAA\n", "1 fields, but the header has 2"),
    (",c001 1 2\n", "the field 'id' is empty"),
]


@pytest.mark.parametrize("row, said", CHARADES, ids=range(len(CHARADES)))
def test_charades_rows_with_mistakes(tmp_path, row, said):
    write(tmp_path, "Charades_v1_train.csv", "id,actions\nBBB,c000 0 1;c156 1 1\n" + row)
    text = message_of(DATASETS["charades"], Source(str(tmp_path), num_classes=157), "train")
    assert text.startswith(f"{tmp_path}/Charades_v1_train.csv, line 3: {said}")


FRAME_LISTS = [
    ('A 0 1 A/1.jpg "x"\n', "line 2: the class is 'x', not a whole number"),
    ('A 0 x A/1.jpg "1"\n', "line 2: the frame is 'x', not a whole number"),
    ('A 0 -1 A/1.jpg "1"\n', "line 2: the frame is '-1', below 0"),
    ('A 0 1 A/1.jpg "1,"\n', "line 2: the class is '', not a whole number"),
    ("A 0 1 A/1.jpg\n", "line 2: 4 fields, not the 5 of a frame list"),
    ("# comment\n", "line 2: 2 fields, not the 5 of a frame list.*comment"),
    ('A 0 1 "" "1"\n', "line 2: the video or the path is empty"),
    ('A 0 1 A/1.jpg "1\n', "line 2: no CSV"),
]


@pytest.mark.parametrize("row, said", FRAME_LISTS, ids=range(len(FRAME_LISTS)))
def test_frame_lists_with_mistakes(tmp_path, row, said):
    write(tmp_path, "train.csv", 'A 0 0 A/0.jpg "1"\n' + row)
    text = message_of(DATASETS["charades"], Source(str(tmp_path), num_classes=157), "train")
    assert re.search(f"train.csv, {said}", text), text


@pytest.mark.parametrize("text", ["c000\n", "c001 a\n", "000 a\n", "c000 a\nc002 b\n", "# names\n"])
def test_the_class_list_of_charades_with_mistakes(tmp_path, text):
    write(tmp_path, "Charades_v1_train.csv", "id,actions\nBBB,c000 0 1\n")
    write(tmp_path, "Charades_v1_classes.txt", text)
    message = message_of(DATASETS["charades"], Source(str(tmp_path), num_classes=2), "train")
    assert "Charades_v1_classes.txt, line " in message


LINES = [
    ("ave", "trainSet.txt", "Bark&b&good&x&5\n", "the start is 'x', not a whole number"),
    ("ave", "trainSet.txt", "Bark&b&good&-1&5\n", "the start is '-1', outside 0..10"),
    ("ave", "trainSet.txt", "Bark&b&good&6&5\n", "the end is '5', outside 6..10"),
    ("ave", "trainSet.txt", "Bark&b&good&2&11\n", "the end is '11', outside 2..10"),
    ("ave", "trainSet.txt", "Bark&&good&2&5\n", "not 'Category&VideoID"),
    ("ave", "trainSet.txt", "# Bark\n", "not 'Category&VideoID.*comment"),
    ("ave", "trainSet.txt", "Howl&b&good&2&5\n", "the category 'Howl' is not in"),
    ("vggsound", "vggsound.csv", "b,x,bark,train\n", "the start is 'x', not a whole number"),
    ("vggsound", "vggsound.csv", "b,-3,bark,train\n", "the start is '-3', below 0"),
    ("vggsound", "vggsound.csv", "b,²,bark,train\n", "the start is '²', not a whole number"),
    ("vggsound", "vggsound.csv", "b,3,bark,val\n", "not 'id,start,label"),
    ("vggsound", "vggsound.csv", ",3,bark,train\n", "not 'id,start,label"),
    ("vggsound", "vggsound.csv", "b,3,,train\n", "not 'id,start,label"),
    ("vggsound", "vggsound.csv", 'b,3,"bark,train\n', "no CSV"),
    ("ucf101", "classInd.txt", "x Bark\n", "the id is 'x', not a whole number"),
    ("ucf101", "classInd.txt", "0 Bark\n", "the id is '0', below 1"),
    ("ucf101", "classInd.txt", "1 Howl\n", "stands in the file already"),
    ("ucf101", "classInd.txt", "2 Bark\n", "stands in the file already"),
    ("ucf101", "classInd.txt", "2\n", "not 'id name'"),
    ("ucf101", "trainlist01.txt", "Bark/b.avi 2\n", "Bark has the id 1 in classInd.txt, not '2'"),
    ("ucf101", "trainlist01.txt", "Howl/b.avi 2\n", "the class 'Howl' is not in classInd.txt"),
    ("ucf101", "trainlist01.txt", "# list\n", "the class '#' is not in.*comment"),
    ("hmdb51", "Bark_test_split1.txt", "b.avi 3\n", "not 'file 0|1|2'"),
    ("hmdb51", "Bark_test_split1.txt", "b.avi\n", "not 'file 0|1|2'"),
    ("hmdb51", "Bark_test_split1.txt", " 1\n", "not 'file 0|1|2'"),
    ("kinetics_sounds", "train.csv", "laughing,b,x,10,train\n", "time_start is 'x', not a whole number"),
    ("kinetics_sounds", "train.csv", "laughing,b,-1,10,train\n", "time_start is '-1', below 0"),
    ("kinetics_sounds", "train.csv", "laughing,b,10,0,train\n", "the stop 0 s is not after the start 10 s"),
    ("kinetics_sounds", "train.csv", "laughing,,0,10,train\n", "the field 'youtube_id' is empty"),
    ("kinetics_sounds", "train.csv", "laughing,b,0\n", "3 fields, but the header has 5"),
]
GOOD = {
    "ave": {"Annotations.txt": "Bark&a&good&0&10\n", "trainSet.txt": "Bark&a&good&0&10\n"},
    "vggsound": {"vggsound.csv": "a,5,bark,train\n"},
    "ucf101": {"classInd.txt": "1 Bark\n", "trainlist01.txt": "Bark/a.avi 1\n"},
    "hmdb51": {"Bark_test_split1.txt": "a.avi 1\n"},
    "kinetics_sounds": {"train.csv": "label,youtube_id,time_start,time_end,split\nlaughing,a,0,10,train\n"},
}
CLASSES = {"ave": 2, "kinetics_sounds": 31}


@pytest.mark.parametrize("name, file, row, said", LINES, ids=range(len(LINES)))
def test_rows_with_mistakes(tmp_path, name, file, row, said):
    for other, text in GOOD[name].items():
        write(tmp_path, other, BOM + text)
    source = Source(str(tmp_path), num_classes=CLASSES.get(name, 1))
    assert len(DATASETS[name](source, "train").records) == (10 if name == "ave" else 1)
    write(tmp_path, file, GOOD[name][file] + row)
    text = message_of(DATASETS[name], source, "train")
    line = 1 + GOOD[name][file].count("\n")
    assert text.startswith(f"{tmp_path}/{file}, line {line}: ")
    assert re.search(said.replace("|", r"\|"), text), text


@pytest.mark.parametrize(
    "name, file",
    [(name, file) for name, files in GOOD.items() for file in files if name != "kinetics_sounds"],
)
def test_empty_files_are_named_without_a_number_of_classes_to_set(tmp_path, name, file):
    for other, text in GOOD[name].items():
        write(tmp_path, other, text)
    write(tmp_path, file, "\n \n")
    text = message_of(DATASETS[name], Source(str(tmp_path), num_classes=CLASSES.get(name, 1)), "train")
    assert (file if name != "hmdb51" else str(tmp_path)) in text and ": no " in text


def test_an_empty_list_of_ones_own_is_named_not_the_file_of_the_classes(tmp_path):
    write(tmp_path, "vggsound.csv", "a,5,bark,train\n")
    own = write(tmp_path, "own.csv", "\n")
    source = Source(str(tmp_path), num_classes=1, list_file=str(own))
    assert message_of(DATASETS["vggsound"], source, "test").startswith(f"{own}: no rows in it")


def test_spaces_around_the_fields_of_a_table_do_not_count(tmp_path):
    write(tmp_path, "vggsound.csv", " a , 5, bark, train\n")
    assert DATASETS["vggsound"](Source(str(tmp_path), num_classes=1), "train").records[0].name == "a"
    write(tmp_path, "train.csv", "label, youtube_id, time_start, time_end\n laughing, a, 0, 10\n")
    record = DATASETS["kinetics_sounds"](Source(str(tmp_path), num_classes=31), "train").records[0]
    assert record.name == "a" and record.path.endswith("laughing/a_000000_000010.mp4")


@pytest.mark.parametrize("naming", ["{vid}.mp4", "{video", "{0}.mp4", "{video.x}.mp4", "{video!z}"])
@pytest.mark.parametrize("key", ["video_file", "audio_file"])
def test_a_naming_with_unknown_fields_is_an_error_of_the_key(key, naming):
    source = Source("/labels", **{key: naming})
    call = source.video if key == "video_file" else lambda template, **fields: source.audio(**fields)
    assert f"DATA.{key.upper()} is {naming!r}: the fields" in message_of(call, "{video}.mp4", video="a", start=3)


def test_rows_of_the_crawler_without_label_are_left_out_and_others_checked(tmp_path):
    head = "label,youtube_id,time_start,time_end,split\n"
    write(tmp_path, "train.csv", head + "walk,a,0,10,train\n")
    write(tmp_path, "test.csv", head + ",b,0,10,test\n")
    assert read_crawled_splits(str(tmp_path), 400) == (
        {"train": [("walk/a_000000_000010.mp4", 0)], "test": []},
        ["walk"],
    )
    write(tmp_path, "train.csv", head + "walk,a,0,1_0,train\n")
    assert "train.csv, line 2: time_end is '1_0'" in message_of(read_crawled_splits, str(tmp_path), 400)

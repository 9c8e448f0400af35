"""AVA's label files and files of boxes with mistakes: one line each; what looks odd but is right is taken."""

import re

import pytest
from helpers.mistakes import BOM, message_of, write

from avslowfast.datasets import ava, Source
from avslowfast.inference.boxes import read_boxes
from avslowfast.visualization.ablation import read_rows

# ---- AVA --------------------------------------------------------------------------------------------------------

V = "v,902"
AVA = [
    (f"{V},nan,0.1,0.5,0.5,1,0\n", "x1 is 'nan', not a finite number"),
    (f"{V},0.1,inf,0.5,0.5,1,0\n", "y1 is 'inf', not a finite number"),
    (f"{V},-5,0.1,0.5,0.5,1,0\n", "is no box in shares of the frame"),
    (f"{V},0.9,0.9,0.1,0.1,1,0\n", "is no box in shares of the frame"),
    (f"{V},0.1,0.1,0.1,0.5,1,0\n", "is no box in shares of the frame"),
    (f"{V},100,100,200,200,1,0\n", "is no box in shares of the frame"),
    (f"{V},0.1,0.1,0.5,1.5,1,0\n", "is no box in shares of the frame"),
    (f"{V},0.1_0,0.1,0.5,0.5,1,0\n", "x1 is '0.1_0', not a number"),
    (f"{V},,0.1,0.5,0.5,1,0\n", "x1 is '', not a number"),
    ("v,1e400,0.1,0.1,0.5,0.5,1,0\n", "second is '1e400', not a finite number"),
    ("v,nan,0.1,0.1,0.5,0.5,1,0\n", "second is 'nan', not a finite number"),
    ("v,-902,0.1,0.1,0.5,0.5,1,0\n", "second is '-902', below 0"),
    ("v,902.4,0.1,0.1,0.5,0.5,1,0\n", "second is '902.4', not a whole number"),
    (f"{V},0.1\n", "not video,second,x1,y1,x2,y2,action"),
    ("v\n", "not video,second,x1,y1,x2,y2,action"),
    (f"{V},0.1,0.1,0.5,0.5,1,0,9\n", "not video,second,x1,y1,x2,y2,action"),
    (",902,0.1,0.1,0.5,0.5,1,0\n", "not video,second,x1,y1,x2,y2,action"),
    (f"{V},0.1,0.1,0.5,0.5,-7,0\n", "the action is '-7', below 1"),
    (f"{V},0.1,0.1,0.5,0.5,0,0\n", "the action is '0', below 1"),
    (f"{V},0.1,0.1,0.5,0.5,,0\n", "the action is '', not a whole number"),
    (f"{V},0.1,0.1,0.5,0.5,1.5,0\n", "the action is '1.5', not a whole number"),
    (f"{V},0.1,0.1,0.5,0.5,7,0\n", "the action 7 is above 6"),
    (f"{V},0.1,0.1,0.5,0.5,{10**12},0\n", "the action 1000000000000 is above 6"),
    ("video_id,second,x1,y1,x2,y2,a,p\n", "second is 'second', not a number"),
]


def ava_listing(folder, split="train", truth=("truth.csv",), predicted=(), threshold=0.8, **options):
    nodes = {
        "ANNOTATION_DIR": "",
        "TRAIN_GT_BOX_LISTS": list(truth),
        "TRAIN_PREDICT_BOX_LISTS": list(predicted),
        "TEST_PREDICT_BOX_LISTS": list(predicted),
        "GROUNDTRUTH_FILE": "val.csv",
        "DETECTION_SCORE_THRESH": threshold,
        "FULL_TEST_ON_VAL": True,
        "LABEL_MAP_FILE": "map.pbtxt",
        "FRAME_DIR": "",
        "FIRST_SECOND": 900,
        **options,
    }
    return ava.read(Source(str(folder), num_classes=6, options=nodes), split)


@pytest.mark.parametrize("row, said", AVA, ids=range(len(AVA)))
def test_boxes_with_mistakes(tmp_path, row, said):
    write(tmp_path, "truth.csv", f"{V},0.1,0.1,0.5,0.5,1,0\n" + row)
    text = message_of(ava_listing, tmp_path)
    assert text.startswith(f"{tmp_path}/truth.csv, line 2: ")
    assert said in text


@pytest.mark.parametrize("score", ["x", "", "nan", "1.5", "-0.1", "17", "1_0"])
def test_scores_of_predicted_boxes_with_mistakes(tmp_path, score):
    write(tmp_path, "found.csv", f"{V},0.1,0.1,0.5,0.5,1,0.9\n{V},0.1,0.1,0.5,0.5,1,{score}\n")
    text = message_of(ava_listing, tmp_path, truth=(), predicted=("found.csv",))
    assert "found.csv, line 2: the score is" in text
    assert "AVA.TRAIN_GT_BOX_LISTS" in text


@pytest.mark.parametrize("score, kept", [("1e-05", 1), ("5E-01", 1), ("0.5", 1), ("0", 1), ("1", 2), ("0.8", 2)])
def test_which_list_it_is_decides_what_the_last_column_is(tmp_path, score, kept):
    rows = f"a,902,0.1,0.1,0.5,0.5,1,{score}\nb,902,0.1,0.1,0.5,0.5,1,0.95\n"
    write(tmp_path, "found.csv", rows)
    assert len(ava_listing(tmp_path, truth=(), predicted=("found.csv",)).records) == kept
    write(tmp_path, "truth.csv", rows)
    assert len(ava_listing(tmp_path).records) == 2


@pytest.mark.parametrize("person", ["0.0", "12.0", "0", "", "17", "anyone"])
def test_ground_truth_has_persons_and_no_scores(tmp_path, person):
    write(tmp_path, "truth.csv", f"a,902,0.1,0.1,0.5,0.5,1,{person}\n")
    # As PySlowFast's files do, the predicted lists name the ground truth, too.
    assert len(ava_listing(tmp_path, predicted=("truth.csv",)).records) == 1
    write(tmp_path, "val.csv", f"a,902,0.1,0.1,0.5,0.5,1,{person}\n")
    assert len(ava_listing(tmp_path, "test", predicted=("val.csv",)).records) == 1


@pytest.mark.parametrize("action", ["", "-1", " "])
def test_predicted_boxes_may_have_no_action(tmp_path, action):
    write(tmp_path, "found.csv", f"a,902,0.1,0.1,0.5,0.5,{action},0.9\n")
    listing = ava_listing(tmp_path, truth=(), predicted=("found.csv",))
    assert listing.records[0].label.classes == ((),)


def test_odd_rows_of_boxes_that_are_right(tmp_path):
    write(tmp_path, "truth.csv", f"{BOM}NA,0902,0,0,1,1,1,0\nnull,903.0,0.1,0.1,0.5,0.5,2\nv,904\n\n")
    assert [record.name for record in ava_listing(tmp_path).records] == ["NA,902", "null,903"]


@pytest.mark.parametrize(
    "text, said",
    [
        ('item { name: "a" id: 1 }\nitem { name: "b" id: 1 }\n', "the id 1 is given twice"),
        ('item { name: "a" id: 1 }\nitem { name: "a" id: 2 }\n', "the name 'a' is given twice"),
        ('item { name: "a" id: 0 }\n', "line 1: the id of 'a' is '0', outside 1..9999"),
        ('item { name: "a" id: 1.5 }\n', "line 1: the id of 'a' is '1.5', not a whole number"),
        ('item { name: "a" id: 1 name: "b" }\n', "line 1: a second name in one item"),
        ("item {\n  name: 'a'\n  id: 1\n}\n", "line 2: \"'a'\" is no part of an item"),
        ('item { name: "a" }\n', "line 1: '}' is no part of an item"),
        ('item { name: "a" id: 1 }\nitem {\n', "the last item has no end"),
        ('{"1": "a"}\n', "line 1: '{' is no part of an item"),
        ("item {}\n", "line 1: '}' is no part of an item"),
        ("x" * 100_000, "is no part of an item"),
        ("", "no items such as"),
    ],
)
def test_label_maps_with_mistakes(tmp_path, text, said):
    assert said in message_of(ava.read_label_map, write(tmp_path, "map.pbtxt", text))


def test_label_maps_in_any_order(tmp_path):
    text = 'label {\n  name: "a {b} id: 3"  # c\n  label_id: 12\n  label_type: POSE\n}\nitem{id:3 name:"b"}\n'
    assert ava.read_label_map(write(tmp_path, "map.pbtxt", text)) == {12: "a {b} id: 3", 3: "b"}


SCORED = [
    (f"{V},0.5,0.1,0.1,0.5,1,0.9\n", "0.5,0.1,0.1,0.5 is no box in shares of the frame"),
    (f"{V},10,10,50,50,1,0.9\n", "10,10,50,50 is no box in shares of the frame"),
    (f"{V},0.1,0.1,0.5,0.5,1,0.9,9\n", "9 columns"),
    (f"{V},0.1,0.1,0.5,0.5,1,0.9,9,9\n", "no CSV of"),
    (f"{V},0.1,0.1\n", "4 columns"),
    (",,0.1,0.1,0.5,0.5,1,0.9\n", "columns, not"),
    (f'"{V},0.1,0.1,0.5,0.5,1,0.9\n', "no CSV of"),
    ("v,-1,0.1,0.1,0.5,0.5,1,0.9\n", "second is '-1', not 0 or above"),
    ("v,nan,0.1,0.1,0.5,0.5,1,0.9\n", "second is 'nan', not a finite number"),
    (f"{V},0.1,0.1,0.5,0.5,81,0.9\n", "class_id is '81', not one of 1..80"),
    (f"{V},x,0.1,0.5,0.5,1,0.9\n", "x1 is 'x', not a finite number"),
    (f"{V},0.1,inf,0.5,0.5,1,0.9\n", "y1 is 'inf', not a finite number"),
    (f"{V},0.1,0.1,0.5,0.5,1.5,0.9\n", "class_id is '1.5', not a whole number"),
    (f"{V},0.1,0.1,0.5,0.5,1,x\n", "score is 'x', not a finite number"),
    (f"{V},0.1,0.1,0.5,0.5,1,NaN\n", "score is 'NaN', not a finite number"),
]


@pytest.mark.parametrize("row, said", SCORED, ids=range(len(SCORED)))
def test_detections_with_mistakes(tmp_path, row, said):
    text = message_of(ava.read_boxes, write(tmp_path, "d.csv", f"{V},0.1,0.1,0.5,0.5,1,0.9\n\n" + row), scores=True)
    assert said in text
    assert "d.csv" in text
    assert "line 3" in text or "no CSV" in text


def test_detections_as_the_official_tool_takes_them(tmp_path):
    rows = f"{BOM}NA,0902,0.1,0.1,0.5,0.5,1\nv,901\nnull,903,0,0,2,2,3,5E-01\n\n"
    table, frames = ava.read_boxes(write(tmp_path, "d.csv", rows), scores=True)
    assert frames == {"NA,902", "v,901", "null,903"}
    assert table.frame.tolist() == ["NA,902", "null,903"]
    assert table.score.tolist() == [1.0, 0.5]
    assert "e.csv: the file is empty" in message_of(ava.read_boxes, write(tmp_path, "e.csv", "\n"), scores=True)


@pytest.mark.parametrize("text", ["v\n", "v,902,1\n", "v,x\n", "v,-1\n", ",902\n", "v,nan\n", "# x\n"])
def test_excluded_key_frames_with_mistakes(tmp_path, text):
    assert "x.csv, line 2: " in message_of(ava.read_excluded, write(tmp_path, "x.csv", f"v,0902\n{text}"))


# ---- further readers --------------------------------------------------------------------------------------------

BOXES = [
    ("1,0.1,0.1\n", "line 2: not seconds,x1,y1,x2,y2"),
    ("-1,0.1,0.1,0.5,0.5\n", "line 2: seconds is '-1', below 0"),
    ("nan,0.1,0.1,0.5,0.5\n", "line 2: seconds is 'nan', not a finite number"),
    ("1,nan,0.1,0.5,0.5\n", "line 2: x1 is 'nan', not a finite number"),
    ("1,0.5,0.1,0.1,0.5\n", "line 2: .* is no box in shares"),
    ("1,10,10,50,50\n", "line 2: .* is no box in shares"),
    ("seconds,x1,y1,x2,y2\n", "line 2: seconds is 'seconds', not a number"),
    ("# comment\n", "line 2: not seconds.*comment"),
]


@pytest.mark.parametrize("row, said", BOXES, ids=range(len(BOXES)))
def test_boxes_of_a_video_with_mistakes(tmp_path, row, said):
    text = message_of(read_boxes, write(tmp_path, "b.csv", "1,0.1,0.1,0.5,0.5\n" + row))
    assert re.search(f"b.csv, {said}", text), text


@pytest.mark.parametrize("first", ["-1,0.1,0.1,0.5,0.5", "1e400,0.1,0.1,0.5,0.5", "x,0.1,0.1,0.5,0.5"])
def test_a_first_row_with_numbers_is_no_header(tmp_path, first):
    assert "b.csv, line 1: seconds is " in message_of(read_boxes, write(tmp_path, "b.csv", f"{first}\n"))


def test_boxes_of_a_video_may_have_a_header_and_a_mark(tmp_path):
    path = write(tmp_path, "b.csv", f"{BOM}seconds,x1,y1,x2,y2\n1,0.1,0.1,0.5,0.5\n")
    assert list(read_boxes(path)) == [1.0]
    assert "no boxes" in message_of(read_boxes, write(tmp_path, "e.csv", "seconds,x1,y1,x2,y2\n"))


@pytest.mark.parametrize("row", ["a,x,1", "a,1", "a,1,nan", "a,1,"])
def test_rows_of_a_suite_with_mistakes(tmp_path, row):
    assert "s.csv, line 2: " in message_of(read_rows, write(tmp_path, "s.csv", f"variant,seed,top1\n{row}\n"))

"""What holds for every registered data set, and for one of a user's own."""

import inspect
import subprocess
import sys
from typing import get_type_hints

import pytest
from helpers import tiny_cfg

from avslowfast.config import ConfigError
from avslowfast.config.names import DATASETS
from avslowfast.datasets import Listing, Source
from avslowfast.datasets.base import names_difference
from avslowfast.datasets.tables import check_class_id, csv_rows, lines_of
from avslowfast.loading.build import read_listing

# The readers of this package: a test may register one of its own in the same process.
READERS = list(DATASETS)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_is_a_function_of_source_and_split(name):
    assert list(inspect.signature(DATASETS[name]).parameters) == ["source", "split"]
    hints = get_type_hints(DATASETS[name])
    assert hints == {"source": Source, "split": str, "return": Listing}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_folder_is_an_error_of_one_line_that_names_it(name, split, tmp_path):
    keys = ("TRAIN.DATASET", name, "TEST.DATASET", name, "DATA.PATH_TO_DATA_DIR", str(tmp_path))
    # Kinetics-Sounds has lists of 31 and of 32 classes.
    with pytest.raises(ConfigError) as error:
        read_listing(tiny_cfg(*keys, "MODEL.NUM_CLASSES", 31), split)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_readers_import_neither_torch_nor_pandas():
    code = (
        "import sys; from avslowfast.config.names import DATASETS; [DATASETS[name] for name in DATASETS];"
        "print([name for name in ('torch', 'pandas', 'av') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_an_unknown_data_set_is_named_with_its_key():
    with pytest.raises(ConfigError, match="TRAIN.DATASET.*kinetcs.*did you mean 'kinetics'"):
        tiny_cfg("TRAIN.DATASET", "kinetcs")


def test_lines_come_with_file_and_line(tmp_path):
    (tmp_path / "x.txt").write_text("a\n\n b \n")
    path = str(tmp_path / "x.txt")
    assert list(lines_of(path)) == [("a", f"{path}, line 1"), ("b", f"{path}, line 3")]


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="x.csv, line 1: no column 'c'"):
        list(csv_rows(str(tmp_path / "x.csv"), ("a", "c")))


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path):
    (tmp_path / "x.csv").write_text("\ufeffa,b\n1,2\n")
    assert [row for row, _ in csv_rows(str(tmp_path / "x.csv"), ("a",))] == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("class_id", [-1, 3])
def test_a_class_outside_the_network_is_named_with_its_line(class_id):
    with pytest.raises(ConfigError, match=rf"x.csv, line 2: the class {class_id} is outside 0..2"):
        check_class_id(class_id, 3, "x.csv, line 2")


def test_names_of_files_follow_the_keys():
    source = Source("/labels", "/videos", video_file="{video}.webm", audio_file="{video}.wav")
    assert source.video("{video}.mp4", video="a") == "/videos/a.webm"
    assert source.audio(video="a") == "/videos/a.wav"
    assert Source("/labels").video("{video}.mp4", video="a") == "/labels/a.mp4"
    assert Source("/labels").audio(video="a") == ""


@pytest.mark.parametrize(
    "old, new, words",
    [
        (["a", "b"], ["a", "c"], ("class 1 is 'b'", "'c'")),
        (["a", "b"], ["a"], ("2 names", "1 name")),
        (["a"], None, ("1 name", "none")),
        ({"verb": ["a"], "noun": ["b"]}, {"verb": ["a"], "noun": ["c"]}, ("noun: class 0 is 'b'", "'c'")),
        ({"verb": ["a"], "noun": None}, {"verb": ["a"], "noun": ["c", "d"]}, ("noun: none", "2 names")),
        ({"verb": ["a"]}, {"noun": ["a"]}, ("names of the classifiers verb", "names of the classifiers noun")),
        ({"verb": ["a"]}, ["a"], ("names of the classifiers verb", "1 name")),
    ],
)
def test_a_difference_of_class_names_names_classifier_and_class(old, new, words):
    assert names_difference(old, new) == words

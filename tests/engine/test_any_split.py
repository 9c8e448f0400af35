"""Tests of any split or list, labelled or not, with any number of views, from one command."""

import json
import re
import shutil

import numpy as np
import pytest
from helpers import tiny_cfg

from avslowfast.checkpoint.record import is_of_run
from avslowfast.cli.main import main
from avslowfast.config import ConfigError, derived
from avslowfast.datasets import ave, charades, epic, kinetics, kinetics_sounds, ucf101, vggsound
from avslowfast.datasets.base import Source
from avslowfast.tasks.scores import SavedScores
from avslowfast.visualization.report import make_report


@pytest.fixture(scope="module")
def finished(trained, tmp_path_factory):
    """OUTPUT_DIR of a run of its own, whose test is done."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    shutil.copytree(trained, folder)
    return folder


def test_run(*words, code=0):
    assert main(["test", *map(str, words), "DATA_LOADER.NUM_WORKERS", "0"]) == code


test_run.__test__ = False


def results_of(folder):
    return json.loads((folder / "results.json").read_text()), SavedScores.load(str(folder / "scores.pt"))


def labels_in(path):
    return [int(line.rsplit(" ", 1)[1]) for line in path.read_text().split("\n") if line]


def test_splits_and_lists_of_a_run_have_results_of_their_own(finished, synthav, tmp_path):
    before = {
        name: (finished / name).read_bytes() for name in ("results.json", "scores.pt", "scores.csv", "stdout.log")
    }
    test_run(finished, "--split", "val", "--views", "3x1")
    results, saved = results_of(finished / "test_val_3x1")
    assert (results["split"], results["temporal_views"], results["spatial_crops"]) == ("val", 3, 1)
    assert (results["videos"], results["views"]) == (16, 3)
    assert saved.labels.tolist() == labels_in(synthav / "val.csv")
    log = (finished / "test_val_3x1/stdout.log").read_text()
    assert "videos of" in log
    # The head of the log: command, versions, device; which list, and what of it is there.
    assert "test: " in log and re.search(r"avslowfast .*torch .*; CPU, 1 rank", log)
    assert re.search(rf"\n  test +16 .* 0 of 16 looked for +{re.escape(str(synthav))}/val.csv\n", log)

    # Every third of these videos, without and with labels, under the same name in two folders.
    lines = (synthav / "val.csv").read_text().split("\n")[:-1][::3]
    lists = [tmp_path / name / "my list.csv" for name in ("bare", "labelled")]
    for path, kept in zip(lists, ([line.rsplit(" ", 1)[0] for line in lines], lines)):
        path.parent.mkdir()
        path.write_text("\n".join(kept) + "\n")
        test_run(finished, "--list", path, "--views", "3x1")
    folders = [finished / f"{derived.tested_part(tiny_cfg('TEST.LIST', str(path)))}_3x1" for path in lists]
    assert all(folder.name.startswith("list_my_list_") for folder in folders) and folders[0] != folders[1]
    (bare, without), (labelled, with_labels) = map(results_of, folders)
    assert np.allclose(without.scores.only, saved.scores.only[::3], atol=1e-5)
    assert np.array_equal(without.scores.only, with_labels.scores.only)
    assert without.labels.tolist() == [-1] * 6 and with_labels.labels.tolist() == labels_in(lists[1])
    assert bare["metrics"] == {} and "top1" not in bare and "per_class_accuracy" not in bare
    assert bare["list"] == str(lists[0]) and bare["videos"] == labelled["videos"] == 6
    right = with_labels.scores.only.argmax(1) == with_labels.labels
    assert labelled["top1"] == pytest.approx(100 * right.mean())
    assert "no metrics" in (folders[0] / "stdout.log").read_text()
    assert "no metrics" not in (folders[1] / "stdout.log").read_text()
    rows = [line.split(",")[1] for line in (folders[0] / "scores.csv").read_text().split("\n")[1:-1]]
    assert rows == ["-1"] * 6
    assert {name: (finished / name).read_bytes() for name in before} == before


def test_other_views_and_weights_have_results_of_their_own_which_the_report_shows(finished, tmp_path, capfd):
    own, earlier = (finished / "results.json").read_bytes(), {path.name for path in finished.iterdir()}
    newest = json.loads(own)["checkpoint"]
    # The run's own views and weights (two clips, the best state), then others.
    for words in (("--views", "2x1"), ("--views", "1x1"), ("TEST.USE_BEST", "False")):
        test_run(finished, *words)
    test_run(finished, "TEST.CHECKPOINT_FILE_PATH", newest, "--views", "1x1")
    file = f"test_1x1_{derived.name_of_file(newest)}"
    names = {path.name for path in finished.iterdir()} - earlier
    assert names == {"test", "test_1x1", "test_newest", file} and all(map(is_of_run, names))
    views = {name: results_of(finished / name)[0]["views"] for name in names}
    assert views == {"test": 2, "test_1x1": 1, "test_newest": 2, file: 1}
    assert (finished / "results.json").read_bytes() == own
    # What else differs replaces them, which is said.
    assert "are replaced" not in capfd.readouterr().out
    test_run(finished, "--views", "1x1", "DATA.ENSEMBLE_METHOD", "max")
    said = capfd.readouterr().out
    assert (
        "test_1x1: the results of an earlier test are replaced, which had DATA.ENSEMBLE_METHOD ('sum', now 'max')"
        in said
    )

    text = open(make_report(finished, tmp_path / "r.html"), encoding="utf-8").read()
    section = text[text.index("<h2>Other tests</h2>") : text.index("<h2>Classes</h2>")]
    rows = re.findall(r"<tr><td>([^<]*)</td><td>([^<]*)</td><td class=n>", section)
    assert rows[0] == ("own test", "test, 2 x 1 views, checkpoint_best") and set(rows[1:]) >= {
        ("test", "test, 2 x 1 views, checkpoint_best"),
        ("test_1x1", "test, 1 x 1 views, checkpoint_best"),
    }
    assert section.count("<summary>test_1x1</summary>") == 1 and len(set(re.findall(r"id='(classes\w*)'", text))) >= 5


def test_a_folder_without_a_run_keeps_its_first_test(finished, tmp_path):
    weights = json.loads((finished / "results.json").read_text())["checkpoint"]

    def views_after(*words):
        config = str(finished / "config.yaml")
        test_run(config, "TEST.CHECKPOINT_FILE_PATH", weights, "OUTPUT_DIR", tmp_path, "TEST.USE_BEST", "False", *words)
        return {path.parent.name: json.loads(path.read_text())["views"] for path in tmp_path.rglob("results.json")}

    assert views_after("--views", "2x1") == {tmp_path.name: 2}
    mine = ("TEST.SAVE_RESULTS_PATH", str(tmp_path / "mine"))
    assert views_after("--views", "1x1", *mine) == {tmp_path.name: 2, "test_1x1": 1}
    assert (tmp_path / "mine_test_1x1.pt").is_file()
    assert views_after("--views", "2x1", *mine) == {tmp_path.name: 2, "test_1x1": 1}
    assert (tmp_path / "mine.pt").is_file()


@pytest.mark.slow
def test_the_training_split_and_a_path_for_scores(finished, synthav, tmp_path):
    test_run(finished, "--split", "train", "TEST.SAVE_RESULTS_PATH", tmp_path / "mine")
    assert SavedScores.load(str(tmp_path / "mine_test_train.pt")).labels.tolist() == labels_in(synthav / "train.csv")


@pytest.mark.parametrize(
    "words, message",
    [
        (("--list", "nowhere.csv"), "TEST.LIST is 'nowhere.csv': the file does not exist"),
        (("--list", "x.csv", "--split", "val"), "TEST.SPLIT val is another list"),
        (("--list", "x.csv", "TEST.DATASET", "hmdb51"), "does not lie in one file per split; leave it out, or set"),
        (("--split", "val", "TASK", "probe"), "TASK probe trains on one split and tests on the other"),
        (("--split", "val", "DETECTION.ENABLE", "True"), "set AVA.TEST_PREDICT_BOX_LISTS and AVA.GROUNDTRUTH_FILE"),
        (("--views", "10x2"), "TEST.NUM_SPATIAL_CROPS"),
    ],
)
def test_what_cannot_be_tested_is_one_line(finished, words, message, capsys):
    test_run(finished, *words, code=2)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def write(path, text):
    path.write_text(text)
    return str(path)


def test_lists_of_paths_have_labels_on_all_lines_or_on_none(tmp_path):
    def read(text, split="test"):
        path = write(tmp_path / f"{split}.csv", text)
        return kinetics.read(Source(str(tmp_path), num_classes=3, list_file=path if split == "test" else ""), split)

    assert read("a b.mp4\nc.mp4\n").labels == "none"
    assert [record.path for record in read("a b.mp4\nc.mp4\n").records] == [f"{tmp_path}/a b.mp4", f"{tmp_path}/c.mp4"]
    assert [record.label for record in read("a b.mp4 2\nc.mp4 0\n").records] == [2, 0]
    with pytest.raises(ConfigError, match="line 2.*has a label, but the first line of the list has none"):
        read("a b.mp4\nc.mp4 0\n")
    with pytest.raises(ConfigError, match="line 2: no label"):
        read("c.mp4 0\nd.mp4\n")
    # A network is not trained on lists without labels.
    with pytest.raises(ConfigError, match="no label|no class id"):
        read("a.mp4\nc.mp4\n", "train")


def test_lists_in_the_form_of_other_data_sets(tmp_path):
    def source(form, text, **more):
        return Source(str(tmp_path), list_file=write(tmp_path / f"my.{form}", text), **more)

    write(tmp_path / "vggsound.csv", "a,1,dog,train\nb,2,cat,test\n")
    found = vggsound.read(source("vgg", "z,3,dog,train\ny,4,cat,test\n", num_classes=2), "test")
    assert [(record.name, record.label) for record in found.records] == [("z", 1), ("y", 0)]
    with pytest.raises(ConfigError, match="my.vgg, line 1: the class 'cow' is not in"):
        vggsound.read(source("vgg", "z,3,cow,train\n", num_classes=2), "test")

    write(tmp_path / "Annotations.txt", "Bell&v&good&0&10\n")
    found = ave.read(source("ave", "Bell&w&good&2&4\n", num_classes=2), "test")
    assert [record.label for record in found.records] == [1, 1, 0, 0, 1, 1, 1, 1, 1, 1]

    write(tmp_path / "classInd.txt", "1 Run\n2 Jump\n")
    found = ucf101.read(source("ucf", "Jump/v_1.avi\n", num_classes=2), "test")
    assert [record.label for record in found.records] == [1]

    header = "label,youtube_id,time_start,time_end,split\n"
    found = kinetics_sounds.read(source("ks", f"{header}laughing,abc,1,11,val\n", num_classes=31), "test")
    assert [record.label for record in found.records] == [5]

    found = charades.read(source("cha", "id,actions,length\nabc,c001 0 2,3\n", num_classes=157), "test")
    assert [record.label for record in found.records] == [((1, 0.0, 2.0),)]
    frames = 'original_vido_id video_id frame_id path labels\nabc 0 0 abc/1.jpg "3"\n'
    found = charades.read(source("cha", frames, num_classes=157), "test")
    assert [record.label for record in found.records] == [((3, 0.0, 1 / 24),)]

    columns = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp"
    row = "P01_1_0,P01,P01_1,00:00:01.0,00:00:02.0"
    keys = {"target": "verb", "num_classes": 97}
    found = epic.read_100(source("epic", f"{columns}\n{row}\n", **keys), "test")
    assert [record.label for record in found.records] == [-1]
    # Kitchens of every part count in a list of one's own.
    found = epic.read_100(source("epic", f"{columns},verb_class\n{row},7\n", **keys), "test")
    assert [(record.name, record.label) for record in found.records] == [("P01_1_0", 7)]

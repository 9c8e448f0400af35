"""The page of a run that a kill has left behind."""

import json

import pytest
import torch

from avslowfast.utils.errors import UserError
from avslowfast.visualization.report import make_report

STEP = {"_type": "train_iter", "epoch": "1/2", "iter": "2/4", "loss": 2.5, "lr": 0.1, "dt": 0.5}
RESULTS = {"arch": "slow", "failed": []}


def page(folder, results=RESULTS, log=(STEP,), **files):
    (folder / "results.json").write_text(results if isinstance(results, str) else json.dumps(results))
    lines = [line if isinstance(line, str) else f"json_stats: {json.dumps(line)}" for line in log]
    (folder / "stdout.log").write_text("\n".join(lines) + "\n")
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    with open(make_report(folder), encoding="utf-8") as f:
        return f.read()


TORN = [
    'json_stats: {"_type": "train_iter", "e',
    "json_stats: ",
    "json_stats: {",
    "json_stats: []",
    "json_stats: 5",
    'json_stats: {"epoch": "1/2"}',
    'json_stats: {"_type": "train_iter"}',
    'json_stats: {"_type": "train_iter", "epoch": "1/2", "iter": "2/0", "lr": 1}',
    'json_stats: {"_type": "train_iter", "epoch": "1/2", "iter": "2/4", "lr": null}',
    'json_stats: {"_type": "val_epoch", "epoch": 1}',
    "json_stats: " + "[" * 100_000,
]


@pytest.mark.parametrize("line", TORN, ids=range(len(TORN)))
def test_torn_lines_of_the_log_are_left_out_and_counted(tmp_path, line):
    text = page(tmp_path, log=[STEP, line])
    assert "<h2>Training</h2>" in text
    assert "stdout.log: 1 torn line left out" in text


def test_a_line_behind_a_torn_one_is_read(tmp_path):
    text = page(tmp_path, log=[f'json_stats: {{"_type": "train_iter", "ejson_stats: {json.dumps(STEP)}'])
    assert "<h2>Training</h2>" in text


RESULTS_THAT_ARE_NONE = [
    '{"arch": "x", "fai',
    "",
    "[1]",
    "null",
    "[" * 100_000,
    '{"failed": [5]}',
    '{"failed": [{"path": "a"}]}',
    '{"metrics": [1]}',
    '{"metrics": {"top1": {"colour": 1}}}',
    '{"synchronisation": {"res4": {}}}',
    '{"per_class_accuracy": {"walk": "x"}}',
    '{"per_class_ap": []}',
]


@pytest.mark.parametrize("text", RESULTS_THAT_ARE_NONE, ids=range(len(RESULTS_THAT_ARE_NONE)))
def test_torn_results_are_left_out_and_named(tmp_path, text):
    made = page(tmp_path, results=text)
    assert "Not tested yet" in made
    assert "<h2>Left out</h2>" in made
    assert "results.json" in made


def test_a_folder_of_torn_files_alone_is_no_run(tmp_path):
    with pytest.raises(
        UserError, match=r"neither results.json nor a log of training steps in it that can be read \(.*results.json"
    ):
        page(tmp_path, results='{"arch', log=["json_stats: {"])


@pytest.mark.parametrize(
    "name, content",
    [("scores__pt", b"PK\x03\x04"), ("scores__pt", b""), ("config__yaml", b"[1]"), ("config__yaml", b"a: [\xff")],
)
def test_other_torn_files_are_named(tmp_path, name, content):
    assert name.replace("__", ".") in page(tmp_path, **{name: content}).split("<h2>Left out</h2>")[1]


@pytest.mark.parametrize("name", ["$\\frac{x$", "$", "$$", "a_b^c", "<b>", "\\"])
def test_a_class_name_stands_as_it_is(tmp_path, name):
    labels, scores = torch.tensor([0, 1, 2, 0]), torch.rand(4, 3)
    content = {"scores": scores, "labels": labels, "paths": list("abcd"), "class_names": ["a", "b", name]}
    torch.save(content, tmp_path / "scores.pt")
    assert "<h2>Confusion</h2>" in page(tmp_path)
    assert "Left out" not in page(tmp_path)

"""A run as one page."""

import base64
import io
import json
import os
import re
import shutil

import numpy as np
import pytest
from helpers.tools import command
from PIL import Image

from avslowfast.evaluation.metrics.classification import confusion_matrix
from avslowfast.tasks.scores import ClassScores, SavedScores
from avslowfast.utils.errors import UserError
from avslowfast.visualization.colours import class_colour
from avslowfast.visualization.matrix import most_confused
from avslowfast.visualization.report import make_comparison, make_report
from avslowfast.visualization.report.compare import paired_interval
from avslowfast.visualization.report.provenance import facts
from avslowfast.visualization.report.run import read_run, Run
from avslowfast.visualization.report.sections import speed, training


def test_a_report_is_one_page_that_needs_nothing_else(trained, tmp_path):
    text = open(make_report(trained, tmp_path / "r.html"), encoding="utf-8").read()
    for title in (
        "Training",
        "Results",
        "Classes",
        "Confusion",
        "Clips",
        "Failed files",
        "Speed",
        "Where it comes from",
        "Configuration",
    ):
        assert f"<h2>{title}</h2>" in text
    # The only addresses are names of namespaces, which nothing fetches.
    assert not [a for a in re.findall(r"""(?:src|href|url)\s*=?\(?["']?(https?:[^"')\s>]+)""", text)]
    assert text.count("<video") >= 4 and "data:video/mp4;base64," in text
    assert "data:image/jpeg;base64," in text and len(text) < 4e6
    assert "no run" not in text
    assert "top-1 accuracy, %" in text and "validation top-1 accuracy, %" in text
    with pytest.raises(UserError, match="neither results.json nor a log of training steps"):
        make_report(tmp_path)
    assert "report.html" in command("report", trained)


def test_a_run_of_synchronisation_shows_its_distances(tmp_path):
    stage = {
        "histogram": {"in_sync": [3, 1], "hard": [1, 3]},
        "shifts": [-0.2, 0.0, 0.2],
        "distance": [0.5, 0.25, None],
    }
    results = {
        "arch": "avslowfast",
        "sync": 75.0,
        "res4_offset_ms": -4.0,
        "synchronisation": {"res4": stage},
        "failed": [{"path": "a<b.mp4", "reason": "broken"}],
        "metrics": {
            "sync": {"label": "pairs distinguished", "unit": "%", "better": "higher"},
            "res4_offset_ms": {"label": "res4, offset", "unit": "ms", "better": "lower"},
        },
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    text = open(make_report(tmp_path), encoding="utf-8").read()
    assert "<h2>Synchronisation</h2>" in text and "shift of the audio" in text
    assert "pairs distinguished, %" in text and "res4, offset, ms" in text
    assert "a&lt;b.mp4" in text and "<h2>Training</h2>" not in text


def test_a_run_that_has_not_ended_has_a_page(tmp_path):
    step = {"_type": "train_iter", "epoch": "1/2", "iter": "2/4", "loss": 2.5, "lr": 0.1, "dt": 0.5}
    (tmp_path / "stdout.log").write_text(f"json_stats: {json.dumps(step)}\n")
    text = open(make_report(tmp_path), encoding="utf-8").read()
    assert "Not tested yet" in text and "<h2>Training</h2>" in text and "seconds per step" in text
    assert "<h2>Failed files</h2>" not in text


def test_the_speed_of_a_run_that_went_on_elsewhere_is_of_the_steps_that_have_it(tmp_path):
    step = {"_type": "train_iter", "epoch": "1/2", "iter": "2/4", "lr": 0.1, "dt": 0.5}
    lines = [step | {"gpu_gb": 7.5}, step | {"dt": 1.5}, step | {"dt": 2.5, "gpu_gb": None}]
    (tmp_path / "stdout.log").write_text("".join(f"json_stats: {json.dumps(line)}\n" for line in lines))
    rows = speed(read_run(tmp_path))
    assert "<td>seconds per step</td><td class=n>1.5</td>" in rows
    assert "<td>GPU memory, GB</td><td class=n>7.5</td>" in rows


def test_every_loss_of_a_run_has_a_curve(tmp_path):
    losses = {f"loss_{i}": float(i) for i in range(8)}
    step = {"_type": "train_iter", "epoch": "1/2", "iter": "2/4", "lr": 0.1, "loss": 1.0, **losses}
    (tmp_path / "stdout.log").write_text(f"json_stats: {json.dumps(step)}\n")
    drawn = training(read_run(tmp_path))
    assert all(f">{name}</text>" in drawn or f"<!-- {name} -->" in drawn for name in losses)


def test_the_command_of_a_run_can_be_run_again():
    words = ["/x/avslowfast/__main__.py", "train", "My Videos/x.yaml", "MULTI_HEAD.NAMES", "[verb, noun]"]
    run = Run("", {}, [], [], {}, {}, None, None, {"starts": [{"command": words}]}, None, [])
    assert facts(run)["command"] == "avslowfast train 'My Videos/x.yaml' MULTI_HEAD.NAMES '[verb, noun]'"


def test_a_page_says_where_its_run_comes_from(trained):
    run = read_run(os.path.join(trained))
    known = facts(run)
    record = json.load(open(os.path.join(trained, "run.json")))
    assert known["run"] == record["id"] and known["device"] == "CPU, 1 rank" and known["epochs"] == "1 of 1"
    assert "torch " in known["versions"] and known["seed"] == "1" and known["time"].endswith(" s")


def test_the_time_of_a_run_has_no_pauses_in_it(tmp_path):
    lines = [
        "[2026-01-01 10:00:00,000][INFO] a:  1: lists",
        "[2026-01-01 10:00:02,000][INFO] b:  1: run x-1, start 1: avslowfast train",
        "[2026-01-01 10:01:00,500][INFO] c:  1: json_stats: {}",
        "[2026-01-01 12:00:00,000][INFO] a:  1: lists",
        "[2026-01-01 12:00:03,000][INFO] b:  1: run x-1, start 2: avslowfast train",
        "no time in this line",
        "[2026-01-01 12:00:10,000][INFO] c:  1: the end",
    ]
    (tmp_path / "stdout.log").write_text("\n".join(lines))
    (tmp_path / "results.json").write_text('{"top1": 1.0}')
    assert read_run(tmp_path).seconds == pytest.approx(60.5 + 10)


def run_of(folder, scores, labels, names, **results):
    folder.mkdir(parents=True)
    saved = SavedScores(ClassScores({"": scores}), labels, [f"{i}.mp4" for i in range(len(labels))], names)
    saved.save(str(folder / "scores"))
    per_class = {name: 100.0 * (scores[labels == i].argmax(1) == i).mean() for i, name in enumerate(names)}
    (folder / "results.json").write_text(json.dumps({"per_class_accuracy": per_class, **results}))
    return folder


def confused(classes, pairs, each=4, seed=0):
    """Scores and labels in which both classes of each pair are taken for one another in half of their videos."""
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(classes), each)
    best = labels.copy()
    for a, b in pairs:
        best[np.flatnonzero(labels == a)[: each // 2]] = b
        best[np.flatnonzero(labels == b)[: each // 2]] = a
    scores = rng.random((len(labels), classes)).astype(np.float32) * 0.1
    scores[np.arange(len(labels)), best] = 0.9
    return scores, labels


def test_four_hundred_classes_have_a_matrix_whole_and_its_most_confused_part(tmp_path):
    pairs = [(7, 391), (50, 211), (100, 305)]
    scores, labels = confused(400, pairs)
    names = [f"class <{i}>" for i in range(400)]
    text = open(make_report(run_of(tmp_path / "run", scores, labels, names)), encoding="utf-8").read()
    image = Image.open(
        io.BytesIO(base64.b64decode(re.search(r"id='matrix' src='data:image/png;base64,([^']*)'", text)[1]))
    )
    assert image.size == (400, 400)
    order = [int(name) for name in re.findall(r"class &lt;(\d+)&gt;", re.search(r"<pre>(.*?)</pre>", text, re.S)[1])]
    assert sorted(order) == list(range(400))
    dark = np.asarray(image) < 250
    for a, b in pairs:
        # Alike classes stand side by side, and the pixel of their mistakes is where their names are.
        assert abs(order.index(a) - order.index(b)) == 1
        assert dark[order.index(a), order.index(b)] and dark[order.index(b), order.index(a)]
    assert dark.sum() == 400 + 2 * len(pairs)
    block = most_confused(confusion_matrix(scores, labels), 6)
    assert sorted(block) == sorted(sum(pairs, ()))
    # Where nothing is confused, too, each class stands there once.
    assert sorted(most_confused(np.eye(50, dtype=np.int64), 50)) == list(range(50))
    row = re.search(r"<tr><td>class &lt;7&gt;</td>.*?</tr>", text)[0]
    assert (
        f"background:{class_colour(7)}" in row
        and ">50.0<" in row
        and "class &lt;391&gt; (2)" in row
        and len(text) < 2e6
    )


def test_classes_of_videos_with_several_labels_have_their_average_precision(tmp_path):
    (tmp_path / "run").mkdir()
    # By hand: "a" has its two videos at places 1 and 3 of three, (1 + 2 / 3) / 2; "b" first; "c" has none.
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.9, 0.1], [0.7, 0.2, 0.3]], np.float32)
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    saved = SavedScores(ClassScores({"": scores}), labels, ["0.mp4", "1.mp4", "2.mp4"], ["a", "b", "c"])
    saved.save(str(tmp_path / "run/scores"))
    (tmp_path / "run/results.json").write_text('{"map": 91.7}')
    text = open(make_report(tmp_path / "run"), encoding="utf-8").read()
    rows = re.findall(r"<tr><td>(\w)</td><td class=n>([\d.]+)</td>.*?<td class=n>(\d+)</td>", text)
    assert rows == [("a", "83.3", "2"), ("b", "100.0", "1")] and "average precision, %" in text


def test_runs_are_compared_on_the_same_videos(tmp_path):
    scores, labels = confused(20, [(0, 1), (2, 3)], each=20)
    better, _ = confused(20, [(0, 1)], each=20)
    names = [f"c{i}" for i in range(20)]
    folders = [run_of(tmp_path / "a", scores, labels, names), run_of(tmp_path / "b", better, labels, names)]
    out = make_comparison(folders, tmp_path / "page" / "c.html")
    text = open(out, encoding="utf-8").read()
    # 20 of 400 videos are right in the second run alone.
    assert "<td class=n>+5.00</td>" in text and "400 videos" in text
    low, high = map(float, re.search(r"<td class=n>\+([\d.]+) to \+([\d.]+)</td>", text).groups())
    assert 2.5 < low < 5 < high < 7.5
    assert re.search(r"<tr><td>c2</td><td class=n>50.0</td><td class=n>100.0</td></tr>", text)
    low, high = paired_interval(np.zeros(10))
    assert low == high == 0


def test_the_command_compares_several_runs(trained, tmp_path):
    out = tmp_path / "c.html"
    assert "c.html" in command("report", trained, trained, "--out", out)
    assert "<p>Nothing.</p>" in out.read_text(), "a run does not differ from itself"
    assert "--players goes with a single run" in command("report", trained, trained, "--players", code=2)


def test_videos_are_the_same_where_file_and_class_are(tmp_path):
    scores, labels = confused(4, [(0, 1)], each=4)
    one = run_of(tmp_path / "one" / "test_val", scores, labels, ["a", "b", "c", "d"], split="val", temporal_views=2)
    other = run_of(tmp_path / "other" / "test_val", scores, labels, ["a", "b", "x", "y"])
    third = run_of(tmp_path / "other data", scores, labels, ["e", "f", "g", "h"])
    text = open(make_comparison([one, other, third], tmp_path / "c.html"), encoding="utf-8").read()
    assert "<h1>one/test_val · other/test_val · other data</h1>" in text and "<td class=n>val</td>" in text
    assert "8 videos; the classes are others" in text and "no videos of the same classes in common" in text
    text = open(make_comparison([one, other], tmp_path / "c.html"), encoding="utf-8").read()
    assert "<td>a</td><td class=n>50.0</td>" in text and "Left out: 4 of the classes" in text


@pytest.mark.slow
def test_pages_of_many_classes_with_long_names_fit_a_telephone(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("there is no chromium here")
    kinds = ("a wooden bookshelf that someone assembles without any instructions", "длинноеназвание" * 5, "类" * 40)
    names = [f"{kinds[i % 3]} {i}" for i in range(60)]
    folders = [
        run_of(tmp_path / f"a_folder_whose_name_is_long_and_has_no_spaces_{seed}", *confused(60, [(0, 1)]), names)
        for seed in range(3)
    ]
    pages = [make_report(folders[0], tmp_path / "r.html"), make_comparison(folders, tmp_path / "c.html")]
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = chromium.new_page(viewport={"width": 390, "height": 900})
        for page in pages:
            tab.goto(f"file://{page}")
            assert tab.evaluate("document.documentElement.scrollWidth") == 390
            wide = (
                "[...document.querySelectorAll('.wide:has(table)')].filter(e => e.scrollWidth > e.clientWidth).length"
            )
            assert tab.evaluate(wide) == 0
        chromium.close()


@pytest.mark.slow
def test_a_report_has_pages_to_play_with_and_works_in_a_browser(trained, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("there is no chromium here")
    page = tmp_path / "r.html"
    make_report(trained, page, players=True)
    said = []
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, scheme in ((390, "light"), (1200, "dark")):
            tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            tab.on("console", lambda message: said.append(message.text))
            tab.on("pageerror", lambda error: said.append(str(error)))
            tab.goto(page.as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            ends = "[...document.querySelectorAll('.figures svg')].map(svg => svg.getBoundingClientRect().right)"
            assert max(tab.evaluate(ends)) <= width
            tab.fill("input[type=search]", "bob")
            assert set(tab.locator("#classes tbody tr:visible td:first-child").all_inner_texts()) == {
                "bob+tone",
                "bob+beeps",
                "bob+sweep",
                "bob+hiss",
            }
            tab.click("#classes th button >> nth=0")
            names = tab.locator("#classes tbody tr:visible td:first-child").all_inner_texts()
            assert names == sorted(names)
            tab.fill("input[type=search]", "")
            tab.click("#classes th button >> nth=1")
            values = [float(v) for v in tab.locator("#classes tbody td:nth-child(2)").all_inner_texts()]
            assert values == sorted(values)
            tab.locator("details:has(iframe) summary").first.click()
            frame = tab.frame_locator("iframe").first
            frame.locator("#bars li").first.wait_for()
            tab.close()
        chromium.close()
    assert said == []

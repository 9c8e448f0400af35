"""Ablations: networks of suites can be built, shared ones are trained once, verdicts, a suite from start to end."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from helpers import ROOT
from matplotlib.text import Text

from avslowfast.cli import ablation_suites
from avslowfast.utils.text import TextError
from avslowfast.visualization.ablation import baseline, draw_suite, paired, read_rows, section
from avslowfast.visualization.draw import save_svg

SPEC = yaml.safe_load((ROOT / "configs/ablations.yaml").read_text())


def plans(scale="small", seeds=3):
    settings = ablation_suites.Settings(scale, SPEC["scales"][scale], seeds, "out", "data")
    return {name: ablation_suites.plan(suite, settings) for name, suite in SPEC["suites"].items()}


@pytest.mark.parametrize("scale", list(SPEC["scales"]))
def test_every_network_of_every_suite_has_a_valid_configuration(scale):
    if scale == "large":
        for suite in SPEC["suites"].values():
            assert set(SPEC["scales"][scale]["clips"]) >= {suite["variant"]}
    planned = plans(scale)
    assert all(len(rows) == 3 * len(SPEC["suites"][name]["variants"]) for name, rows in planned.items())
    for name, suite in SPEC["suites"].items():
        assert {variant for pair in suite["expect"] for variant in pair} <= set(suite["variants"]), name


def test_a_network_that_suites_share_is_trained_once():
    planned = plans()
    folder = {(name, chain.variant, chain.seed): chain.folder for name, chains in planned.items() for chain in chains}
    same = (("fusion", "res3 + res4 + pool5"), ("droppathway", "0.5"), ("avs", "off"))
    assert {folder[(*network, 1)] for network in same} == {folder["modality", "both", 1]}
    assert folder["lateral", "none", 2] == folder["fusion", "pool5", 2]
    suites = ("droppathway_rate", "DropPathway 0.5"), ("droppathway_pool5", "laterals and head"), ("audio_width", "2")
    for network in (*suites, ("audio_frames", "16"), ("audio_blocks", "res2, res3")):
        assert folder[(*network, 1)] == folder["modality", "both", 1]
    assert folder["droppathway_rate", "audio learns as fast", 1] == folder["droppathway", "0", 1]
    assert len({folder["droppathway", rate, 1] for rate in ("0", "0.2", "0.5", "0.8")}) == 4
    assert folder["avs", "off", 1] != folder["avs", "off", 2]
    chains = [chain.runs for chain in planned["pretraining"]]
    assert [len(runs) for runs in chains] == [1] * 3 + [2] * 6
    assert chains[3][0].folder in " ".join(chains[3][1].command)


def bent(**changes):
    suite = {**SPEC["suites"]["modality"], **changes}
    return {"scales": SPEC["scales"], "suites": {"mine": {k: v for k, v in suite.items() if v is not None}}}


MISTAKES = [
    ("", "scales or suites are missing"),
    ([], "scales or suites are missing"),
    ({"scales": {}, "suites": {}}, "scales or suites are missing"),
    ({"scales": SPEC["scales"], "suites": {"../x": {}}}, "suite '../x': a name has letters"),
    ({"scales": SPEC["scales"], "suites": {"mine": 5}}, "suite 'mine': it is no mapping"),
    ({"scales": {"small": {"clips": {}}}, "suites": {}}, "scales or suites are missing"),
    (bent(cfg=None), "suite 'mine': cfg is missing"),
    (bent(title=5), "title is 5, of another kind than str"),
    (bent(metric=["top1"]), "unknown key metric"),
    (bent(variant="hardest"), "variant is 'hardest'; use one of pairs, hard"),
    (bent(metrics=[]), "metrics is no list of names"),
    (bent(variants={}, expect=[]), "variants is empty"),
    (bent(variants={"a": 5}, expect=[]), "variants: 'a' is no mapping"),
    (bent(variants={"a": []}, expect=[]), "variants: 'a' is no mapping"),
    (bent(expect=[["both", "nothing"]]), "is no pair"),
    ("x" * 2_000_000, "it has 2000000 characters"),
    ("a: [1", "cannot be read"),
]


@pytest.mark.parametrize(("content", "said"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_file_of_suites_with_mistakes(tmp_path, content, said):
    path = tmp_path / "suites.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(ablation_suites.SuiteRunError) as error:
        ablation_suites.read_spec(str(path))
    assert str(error.value).startswith(str(path)) and said in str(error.value)


def test_suites_are_read_from_a_file_and_not_from_a_pipe(tmp_path):
    assert ablation_suites.read_spec(str(ROOT / "configs/ablations.yaml")) == SPEC
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TextError, match="no regular file"):
        ablation_suites.read_spec(str(tmp_path / "pipe"))


def by_seed(*values):
    return dict(enumerate(values, 1))


def test_variants_are_compared_seed_by_seed():
    # By hand: differences 9, 10, 11; standard error 1 / sqrt(3); the t of 97.5 % with two degrees is 4.3027.
    found = paired(by_seed(79, 81, 83), by_seed(70, 71, 72))
    assert found.each == [9, 10, 11] and found.difference == 10 and found.verdict == "supported"
    assert (found.low, found.high) == pytest.approx((10 - 4.3027 / 3**0.5, 10 + 4.3027 / 3**0.5), abs=1e-3)
    assert paired(by_seed(70, 71, 72), by_seed(79, 81, 83)).verdict == "contradicted"
    assert paired(by_seed(80, 60, 70), by_seed(69, 75, 60)).verdict == "inconclusive"
    # Seeds that differ much, and variants that differ little but always, are distinguished.
    assert paired(by_seed(50.5, 70.6, 90.4), by_seed(50, 70, 90)).verdict == "supported"
    # One of 320 clips in all seeds, with the six digits of a CSV.
    one_clip = (by_seed(96.0938, 98.75, 97.6562), by_seed(95.7812, 98.4375, 97.3438))
    for values, others in ((by_seed(80), by_seed(10)), (by_seed(71, 72, 73), by_seed(70, 71, 72)), one_clip):
        found = paired(values, others)
        assert found.verdict == "inconclusive" and str(found).startswith("+") and "(" not in str(found)
    assert paired({1: 5.0, 2: 7.0, 9: 0.0}, {2: 6.0, 1: 1.0}).each == [4.0, 1.0]


def drawn_suite(variants, seeds, metrics):
    names = [
        f"variant {i} with a name as long as names are that say what they are and why" * (i % 2) or f"v{i}"
        for i in range(variants)
    ]
    suite = {
        "title": "A title that is longer than the figure is wide " * 3,
        "metrics": metrics,
        "variants": {n: {"K": 1} for n in names},
    }
    suite["variants"][names[1]] = {}
    rows = [
        {"variant": name, "seed": seed, **{m: 97.1 + 0.1 * i + 0.03 * (seed * (i + 1) % 4) for m in metrics}}
        for i, name in enumerate(names)
        for seed in range(1, seeds + 1)
    ]
    assert baseline(suite) == names[1]
    return draw_suite(suite, rows)


def words_of(figure):
    """The texts of a figure; ticks beyond the ends of an axis are not drawn."""
    ticks = {axes: [(tick.label1, tick.get_loc()) for tick in axes.xaxis.get_major_ticks()] for axes in figure.axes}
    beyond = {
        label
        for axes, labels in ticks.items()
        for label, place in labels
        if not axes.get_xlim()[0] <= place <= axes.get_xlim()[1]
    }
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible() and text not in beyond]


@pytest.mark.parametrize(
    ("variants", "seeds", "metrics"), [(2, 1, ["top1"]), (5, 3, ["top1", "res4_hard"]), (12, 5, ["top1"])]
)
def test_the_figure_of_a_suite_has_no_overlaps_and_axes_that_show_differences(tmp_path, variants, seeds, metrics):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = drawn_suite(variants, seeds, metrics)
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in words_of(figure)]
    assert len(boxes) > variants * len(metrics)
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    for axes in figure.axes[::2]:
        low, high = axes.get_xlim()
        values = [x for line in axes.lines for x in line.get_xdata()]
        assert low <= min(values) and max(values) <= high and high - low < 1.3 * max(max(values) - min(values), 0.1)
    save_svg(figure, tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text()
    assert "prefers-color-scheme:dark" in text and "currentColor" in text and "<text" not in text
    assert figure.get_figwidth() < 6


def test_the_page_says_what_was_measured():
    suite = {
        "title": "T",
        "claim": "C.",
        "note": "N.",
        "metrics": ["top1"],
        "variants": {"a": {}, "b": {}},
        "expect": [["a", "b"]],
    }
    rows = [
        {"variant": v, "seed": s, "top1": 60.0 + 10 * (v == "a") + s - 0.25 * (v == "b" and s != 2)}
        for v in "ab"
        for s in (1, 2, 3)
    ]
    text = section("t", suite, rows, "about")
    assert "| a | 72.0 ± 1.0 |  | 3 |" in text and "| b | 61.8 ± 1.0 | -10.2 (-10.5 to -9.8) | 3 |" in text
    assert '"a" above "b" is supported: +10.2 (+9.8 to +10.5) points.' in text and "ablations/t.svg" in text


@pytest.mark.slow
def test_a_suite_runs_resumes_and_writes_its_page(tmp_path):
    quick = {
        "SOLVER.MAX_EPOCH": 1,
        "SOLVER.WARMUP_EPOCHS": 0.0,
        "RESNET.WIDTH_PER_GROUP": 8,
        "DATA_LOADER.NUM_WORKERS": 0,
        "TRAIN.BATCH_SIZE": 8,
        "LOG_MODEL_INFO": False,
    }
    suite = {
        **SPEC["suites"]["droppathway"],
        "variants": {"0": {"SLOWFAST.DROPPATHWAY_RATE": 0.0}, "0.5": {}},
        "expect": [["0.5", "0"]],
    }
    spec = {
        "scales": {"small": {"jobs_of_one_thread": True, "overrides": quick, "clips": {"hard": [16, 8, 8]}}},
        "suites": {"droppathway": suite},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    command = [sys.executable, str(ROOT / "tools/ablate.py"), "droppathway", "--spec", str(tmp_path / "spec.yaml")]
    folders = {"--output": tmp_path / "out", "--data": tmp_path / "data", "--docs": tmp_path / "docs"}
    command += ["--seeds", "1", *(str(word) for pair in folders.items() for word in pair)]
    first = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert first.returncode == 0, first.stderr
    assert "2 networks, 0 of them trained already" in first.stdout
    rows = read_rows(tmp_path / "docs/ablations/droppathway.csv")
    assert [row["variant"] for row in rows] == ["0", "0.5"]
    assert all(0 <= row["top1"] <= 100 for row in rows)
    assert all(row["seconds"] > 0 for row in rows)
    assert "| 0.5 |" in (tmp_path / "docs/ABLATIONS.md").read_text()
    assert (tmp_path / "docs/ablations/droppathway.svg").stat().st_size > 3000
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "2 networks, 2 of them trained already" in again.stdout
    assert json.load(open(tmp_path / "docs/ablations/droppathway.json"))["jobs"] == os.cpu_count()
    wrong = subprocess.run([*command[:2], "none", *command[3:]], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "has no suite 'none'" in wrong.stderr

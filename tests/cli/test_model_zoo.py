"""MODEL_ZOO.md is what its command writes, and says what the configurations are."""

import re

import pytest
from helpers import ROOT

from avslowfast.cli import zoo

PAGE = (ROOT / "MODEL_ZOO.md").read_text()
ROWS = zoo.published()
WRITTEN = {f"{m[1]}": (m[2], m[3]) for m in re.finditer(r"\(configs/(\S+)\.yaml\) \| ([\d.]+) \| ([\d.]+) \|", PAGE)}
# Above this many GFLOPs the measurement takes seconds each; the rest of the page is checked with every run.
LARGE = 38


def test_the_page_is_what_the_command_writes_from_these_figures():
    assert list(WRITTEN) == [row["config"] for row in ROWS]
    assert zoo.page(ROWS, WRITTEN) == PAGE


def test_every_configuration_of_the_zoo_has_a_row_and_every_figure_a_source():
    configs = {
        path.relative_to(ROOT / "configs").with_suffix("").as_posix()
        for folder in ("Kinetics", "Kinetics600", "AVA", "Charades", "EPIC100")
        for path in (ROOT / "configs" / folder).glob("*")
    }
    assert configs == {row["config"] for row in ROWS}
    for row in ROWS:
        figure, name = (row["top1"], "top-1") if row["config"].startswith("Kinetics") else (row["map"], "mAP")
        assert bool(figure) == bool(row["source"])
        header = (ROOT / f"configs/{row['config']}.yaml").read_text().split("\n")[2]
        assert (figure in header) if figure else (name not in header), row["config"]


def check(config):
    assert zoo.measure(config) == WRITTEN[config]


@pytest.mark.parametrize("config", [config for config, (_, gflops) in WRITTEN.items() if float(gflops) <= LARGE])
def test_small_networks_measure_what_the_page_says(config):
    check(config)


@pytest.mark.slow
@pytest.mark.parametrize("config", [config for config, (_, gflops) in WRITTEN.items() if float(gflops) > LARGE])
def test_large_networks_measure_what_the_page_says(config):
    check(config)


def test_published_sizes_are_met():
    # PyTorchVideo's model zoo gives these parameters (M); the SlowFast paper's GFLOPs are 106 and 213.
    assert (
        WRITTEN["Kinetics/SLOWFAST_8x8_R101_101_101"][0] == "62.83"
        and WRITTEN["Kinetics/SLOWFAST_16x8_R101"][0] == "53.77"
    )
    for config, gflops in (
        ("SLOWFAST_8x8_R101", 106),
        ("SLOWFAST_16x8_R101", 213),
        ("SLOWFAST_4x16_R50", 36.1),
        ("SLOWFAST_8x8_R50", 65.7),
    ):
        assert float(WRITTEN[f"Kinetics/{config}"][1]) == pytest.approx(gflops, rel=0.015)

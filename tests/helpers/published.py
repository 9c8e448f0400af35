"""The configurations that other projects publish (tests/golden/published_configs.json), and what becomes of them."""

import functools
import json
from collections import Counter

import yaml

from avslowfast.config import ConfigError, parse_cfg
from helpers import ROOT

PROJECTS = json.loads((ROOT / "tests/golden/published_configs.json").read_text())["projects"]
# {key: default} of PySlowFast.
DEFAULTS = json.loads((ROOT / "tests/golden/pyslowfast_defaults.json").read_text())["defaults"]
CASES = [(project, path) for project, content in PROJECTS.items() for path in content["files"]]
# What a refusal has to name, by architecture or, where that is one of this project, by what the file is for.
NAMES = {
    "c2d": "C2D",
    "i3d": "I3D",
    "csn": "CSN",
    "r2plus1d": "R(2+1)D",
    "2d": "2-D ResNet",
    "x3d": "X3D",
    "mvit": "MViT",
    "maskmvit": "masked autoencoders",
    "contrastive": "self-supervised",
    "auditory": "auditory-slow-fast",
}
LOADS = {
    "slow": "Slow",
    "slowfast": "SlowFast",
    "avslowfast": "AVSlowFast",
    "ava": "Slow, SlowFast for AVA",
    "charades": "SlowFast for Charades",
    "ssv2": "SlowFast for SSv2",
    "epic": "SlowFast for EPIC-Kitchens-100",
    "ptv": "Slow, SlowFast of PyTorchVideo",
    "multigrid": "SlowFast with multigrid training",
}


def values_of(project, path):
    """The nested values of a published file."""
    return PROJECTS[project]["files"][path]


def flat(values, prefix=""):
    """{dotted key: value} of nested values."""
    found = {}
    for key, value in values.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return found


def family(project, path):
    """What a file is: an entry of NAMES or LOADS."""
    values = flat(values_of(project, path))
    name, arch = values.get("MODEL.MODEL_NAME", ""), values.get("MODEL.ARCH")
    if project == "auditory-slow-fast":
        return "auditory"
    if arch in NAMES:
        return arch
    if name == "MViT":
        return "mvit"
    if values.get("TASK", "").startswith("ssl"):
        return "contrastive"
    if values.get("MULTIGRID.SHORT_CYCLE"):
        return "multigrid"
    if name.startswith("PTV"):
        return "ptv"
    dataset = values["TRAIN.DATASET"]
    if dataset in ("ava", "charades", "ssv2"):
        return dataset
    return "epic" if dataset == "epickitchens" else {"slowonly": "slow"}.get(arch, arch)


@functools.cache
def text_of(project, path):
    """A published file as YAML."""
    return yaml.dump(values_of(project, path), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))


def load(project, path, overrides=()):
    """The configuration of a published file."""
    return parse_cfg(text_of(project, path), path, overrides)


@functools.cache
def outcome(project, path):
    """The configuration of a published file, or the message that refuses it."""
    try:
        return load(project, path)
    except ConfigError as error:
        return str(error)


def table():
    """Markdown: one row per family with its files by project, and what becomes of them."""
    counts, lines = Counter((family(*case), case[0]) for case in CASES), {}
    for case in CASES:
        if isinstance(outcome(*case), str):
            lines.setdefault(family(*case), outcome(*case).partition(": ")[2])
    rows = [("family", *PROJECTS, "what becomes of it"), ("---", *["---:"] * len(PROJECTS), "---")]
    for name in [*LOADS, *NAMES]:
        said = lines.get(name)
        rows.append(
            (LOADS.get(name, name), *[str(counts[name, project] or "") for project in PROJECTS],
             f"ends with `{said}`" if said else "loads, means the same")
        )  # fmt: skip
    totals = [str(len(PROJECTS[project]["files"])) for project in PROJECTS]
    loaded = sum(counts[name, project] for name in LOADS for project in PROJECTS)
    rows.append(("all", *totals, f"{loaded} load, {len(CASES) - loaded} are named"))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)

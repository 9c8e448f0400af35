"""Builders of data sets and loaders: a plugin's reader, kinds of labels, what a task reads, sizes of batches."""

import subprocess
import sys

import pytest
import torch
from helpers import tiny_cfg
from helpers.lists import cfg_for

from avslowfast.config import ConfigError, plugins
from avslowfast.config.names import DATASETS
from avslowfast.datasets import Listing, Record
from avslowfast.datasets.base import BoxLabels
from avslowfast.loading import build_dataset, build_loader
from avslowfast.loading.build import keep_fraction

HEADS = ("MULTI_HEAD.NAMES", ["verb", "noun"], "MULTI_HEAD.LOSS_WEIGHTS", [0.5, 0.5], "MULTI_HEAD.NUM_CLASSES", [3, 4])
MULTI = ("DATA.MULTI_LABEL", True, "MODEL.LOSS_FUNC", "bce_logit", "MODEL.HEAD_ACT", "sigmoid")
PRETRAIN = ("TASK", "pretrain", "DATA.GET_MISALIGNED_AUDIO", True, "DATA.MIX_NEG_EPOCH", 0, "DATA.EASY_NEG_RATIO", 0.0)


@pytest.fixture
def register():
    """Registers readers of a user's own, which are forgotten afterwards."""
    names = []

    def add(reader, name="my_set"):
        names.append(name)
        return DATASETS.register(name)(reader)

    yield add
    for name in names:
        del DATASETS._entries[name]


def my_cfg(*overrides):
    return tiny_cfg("TRAIN.DATASET", "my_set", "TEST.DATASET", "my_set", *overrides)


def test_a_reader_of_a_plugin_is_trained_and_tested_on(synthav, register):
    seen = []

    def read(source, split):
        seen.append((source.num_classes, split))
        paths = sorted((synthav / split).glob("*.mp4"))[:2]
        return Listing([Record(str(path), label, str(path)) for label, path in enumerate(paths)], ["a", "b"])

    register(read)
    sample = build_dataset(my_cfg("MODEL.NUM_CLASSES", 2), "train")[1]
    assert sample["fast"].shape == (3, 8, 48, 48)
    assert int(sample["label"]) == 1
    assert build_dataset(my_cfg("MODEL.NUM_CLASSES", 2), "test").class_names == ["a", "b"]
    assert seen == [(2, "train"), (2, "test")]


@pytest.fixture
def my_node():
    """The node MY_SET, as a plugin adds it."""
    plugins.add_config("MY_SET", {"FILE": ("list.txt", "The list.")})
    yield
    plugins.remove_config("MY_SET")


def test_a_reader_without_a_node_gets_no_options(register):
    seen = []
    register(lambda source, split: seen.append(dict(source.options)) or Listing([Record("x.mp4")]))
    build_dataset(my_cfg(), "train")
    assert seen == [{}]


def test_a_reader_gets_the_node_with_its_name(register, my_node):
    seen = []
    register(lambda source, split: seen.append(dict(source.options)) or Listing([Record("x.mp4")]))
    build_dataset(my_cfg("MY_SET.FILE", "other.txt"), "train")
    assert seen == [{"FILE": "other.txt"}]


@pytest.mark.parametrize(
    "labels, label, overrides, words",
    [
        ("multi", (0,), (), "DATA.MULTI_LABEL is False: the data set 'my_set' needs True"),
        ("spans", (), (), "DATA.MULTI_LABEL is False: the data set 'my_set' needs True"),
        ("class", 0, MULTI, "DATA.MULTI_LABEL is True: the data set 'my_set' needs False"),
        ("boxes", BoxLabels([], ()), (), "DETECTION.ENABLE is False: the data set 'my_set' classifies boxes"),
        ("class", (0, 0), HEADS, "'my_set' has no labels for 'verb' .it has one label per video."),
    ],
)
def test_labels_that_do_not_fit_the_network_are_refused(register, labels, label, overrides, words):
    register(lambda source, split: Listing([Record("x.mp4", label)], labels=labels))
    with pytest.raises(ConfigError, match=words):
        build_dataset(my_cfg(*overrides), "train")


@pytest.mark.parametrize(
    "labels, label, overrides",
    [
        ("class", 16, ()),
        ("multi", (2, 16), MULTI),
        ("spans", ((16, 0.0, 1.0),), MULTI),
        ("class", (2, 16), HEADS),
    ],
)
def test_a_class_that_the_network_lacks_is_named_with_file_and_line(register, labels, label, overrides):
    def read(source, split):
        return Listing([Record("x.mp4", label, "list.txt, line 7")], labels=labels, classifiers=("verb", "noun"))

    register(read)
    with pytest.raises(ConfigError, match="list.txt, line 7: the class 16 is outside 0..(15|3)"):
        build_dataset(my_cfg(*overrides), "train")


def test_labels_of_too_few_classifiers_are_refused(register):
    register(lambda source, split: Listing([Record("x.mp4", (1,), "l, line 1")], classifiers=("verb", "noun")))
    with pytest.raises(ConfigError, match="l, line 1: the label has 1 class ids, but the network 2 classifiers"):
        build_dataset(my_cfg(*HEADS), "train")


def test_labels_by_classifier(register):
    register(lambda source, split: Listing([Record("x.mp4", (2, -1))], classifiers=("verb", "noun")))
    assert build_dataset(my_cfg(*HEADS), "train").label(0).tolist() == [2, -1]


def test_pretexts_read_lists_without_labels(tmp_path):
    (tmp_path / "train.csv").write_text("a.mp4\nb c.mp4\n")
    dataset = build_dataset(tiny_cfg("TASK", "pretrain", "DATA.PATH_TO_DATA_DIR", str(tmp_path)), "train")
    assert dataset.listing.labels == "none"
    assert [record.path for record in dataset.records] == [f"{tmp_path}/a.mp4", f"{tmp_path}/b c.mp4"]
    assert dataset.label(1) == -1


@pytest.mark.parametrize("pretexts, reads", [(["rotation"], False), (["avs"], True), (["avs", "rotation"], True)])
def test_only_synchronisation_reads_hard_negatives_and_shifted_audio(synthav, pretexts, reads):
    cfg = cfg_for(synthav, *PRETRAIN, "PRETRAIN.TASKS", pretexts, "SYNC.MAX_SHIFT", 0.2, "SYNC.SHIFT_STEP", 0.2)
    dataset = build_dataset(cfg, "train")
    settings = dataset.clip_reader.settings.audio
    assert settings.hard_negatives == reads
    assert bool(settings.shifts) == reads
    assert any("audio_hard_negative" in dataset[i] for i in range(4)) == reads
    for split in ("val", "test"):
        assert ("audio_shifts" in build_dataset(cfg, split)[0]) == reads
        assert ("audio_hard" in build_dataset(cfg, split)[0]) == reads


@pytest.mark.parametrize(
    "split, overrides, videos",
    [
        ("val", (), 12),
        ("test", (), 2),
        ("test", ("TEST.BATCH_SIZE", 4), 1),
        # Without frames there are no crops.
        ("test", ("MODEL.ARCH", "audio"), 6),
    ],
)
def test_evaluation_batches_hold_the_videos_that_fit_into_a_pass(synthav, split, overrides, videos):
    views = ("TEST.BATCH_SIZE", 12, "TEST.NUM_ENSEMBLE_VIEWS", 2, "TEST.NUM_SPATIAL_CROPS", 3)
    assert build_loader(cfg_for(synthav, *views, *overrides), split).batch_sampler.batch_size == videos


def test_training_videos_can_be_cut_as_in_testing(synthav):
    cfg = cfg_for(synthav, "TEST.NUM_ENSEMBLE_VIEWS", 2, "TEST.NUM_SPATIAL_CROPS", 1)
    dataset = build_loader(cfg, "test", videos_of="train").dataset
    assert dataset.split == "test"
    assert [r.path for r in dataset.records] == [r.path for r in build_dataset(cfg, "train").records]
    assert dataset[0]["fast"].shape == (2, 3, 8, 48, 48)


def test_an_unknown_split_is_refused(synthav):
    with pytest.raises(ValueError, match="train, val or test, not 'dev'"):
        build_dataset(cfg_for(synthav), "dev")


def test_a_loader_of_evaluation_has_no_epochs(synthav):
    with pytest.raises(TypeError, match="no epochs"):
        _ = build_loader(cfg_for(synthav), "val").epochs


def test_a_fraction_is_the_same_share_of_every_label():
    listing = Listing([Record(f"{i}.mp4", i % 2) for i in range(20)], ["a", "b"])
    part = keep_fraction(listing, 0.3, seed=1)
    assert sorted(record.label for record in part.records) == [0, 0, 0, 1, 1, 1]
    assert [r.path for r in part.records] == [r.path for r in listing.records if r in part.records]
    assert part.class_names == ["a", "b"]


def test_loading_imports_libraries_where_they_are_used(synthav):
    code = (
        "import sys; from avslowfast.config import load_cfg; from avslowfast.loading import build_dataset;"
        f"args = ['DATA.PATH_TO_DATA_DIR', {str(synthav)!r}, 'MODEL.ARCH', 'slowfast'];"
        "build_dataset(load_cfg('configs/SynthAV/AVSLOWFAST_TINY.yaml', args), 'train')[0];"
        "print([n for n in ('torchvision', 'torchaudio', 'scipy', 'pandas', 'sklearn') if n in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_labels_are_tensors_of_the_kind_that_losses_take(register):
    register(lambda source, split: Listing([Record("x.mp4", (1, 3))], labels="multi"))
    label = build_dataset(my_cfg(*MULTI), "train").label(0)
    assert label.dtype == torch.float32
    assert label.nonzero().flatten().tolist() == [1, 3]


@pytest.mark.parametrize(
    "names, overrides, said",
    [
        (["a"], ("MODEL.NUM_CLASSES", 2), "has 1 names, but the network 2 classes; make MODEL.NUM_CLASSES"),
        ({"verb": list("abc"), "noun": list("ab")}, HEADS, "has 2 noun names, but the network 4 classes; make MULTI"),
    ],
)
def test_a_class_list_of_another_number_of_classes_is_refused(register, names, overrides, said):
    label = (0, 0) if isinstance(names, dict) else 0
    register(lambda source, split: Listing([Record("a.mp4", label)], names, classifiers=("verb", "noun")))
    with pytest.raises(ConfigError, match=said):
        build_dataset(my_cfg("DATA.PATH_TO_DATA_DIR", "lists", *overrides), "train")

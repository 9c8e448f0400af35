"""The commands of the documentation, run word for word in a reader's folder.

What a reader has (videos, lists, runs, checkpoints) is made in small under the names of the pages
(helpers/standins.py). `additions` says what is added to a command so that it ends on two cores without a GPU;
helpers/pages.py, NOT_RUN, what is not run and why. A new command of a page is run without a change here, or named with
what it lacks.
"""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
import yaml
from helpers import ROOT
from helpers.pages import call_in, COMMANDS_OF_PAGES, name_of, NOT_RUN, PAGES, parser_of
from helpers.servers import s3_server
from helpers.silence import hear_interrupts
from helpers.standins import flat, Reader, SHORT, SMALL, STAND_INS

from avslowfast.cli.synthav import PARTS
from avslowfast.config import load_cfg
from avslowfast.config.errors import UnknownModelError
from avslowfast.config.zoo import find_config

RUN = [command for command in COMMANDS_OF_PAGES if not command.why_not_run]
# Folders of a reader's machine, which a test puts below its own folder.
_ABSOLUTE = re.compile(r"(?<![\w./])/(?=(data|videos|local)\b)")
# Behind these stands what a command writes.
_OUTPUTS = {"OUTPUT_DIR", "--out", "--output", "--html", "--csv", "--plot", "--json", "--to", "TRAIN.MIRROR"}
# Seconds of a command: networks of full size on a CPU, which the tests' other processes use as well.
_LONGEST = 1800
_TRAINING = ("train", "test", "check", "lr-find")
_PLACES = ("OUTPUT_DIR", "DATA.PATH_TO_DATA_DIR", "TEST.CHECKPOINT_FILE_PATH")
# Where the lists of a data set lie that a command does not name.
_LISTS = {
    "kinetics": ("lists", ""),
    "kinetics_sounds": ("data/kinetics_sounds", "data/kinetics_sounds"),
    "ucf101": ("data/ucf101", "data/ucf101"),
    "hmdb51": ("data/hmdb51", "data/hmdb51"),
    "epic55": ("data/synthav_epic", "data/synthav_epic/videos"),
    "charades": ("data/synthav_charades", "data/synthav_charades/videos"),
    "ava": ("data/synthav_ava", "data/synthav_ava/videos"),
}
# The same, where a page has prepared the data set before.
_PREPARED = {("docs/REPRODUCING.md", "kinetics"): ("data/k400/lists", "data/k400/videos")}
# Keys for these lists, where the data set's own number of classes or names of files do not fit.
_CLASSES = {
    "epic55": {"MULTI_HEAD.NUM_CLASSES": [6, 4]},
    "charades": {"MODEL.NUM_CLASSES": 8},
    "ava": {
        "MODEL.NUM_CLASSES": 6,
        "AVA.TRAIN_GT_BOX_LISTS": ["ava_train_v2.2.csv"],
        "AVA.TRAIN_PREDICT_BOX_LISTS": [],
        "AVA.TEST_PREDICT_BOX_LISTS": ["ava_val_predicted_boxes.csv"],
    },  # fmt: skip
}
# Fewer measurements, videos, clips and lines; small clips.
_BENCHMARK = ["--repeats", "1", "--videos", "1", "--clips", "8", "--lines", "2000"]
# What is added to programs and commands whatever else they say.
_ADDED = {
    "zoo": ["--out", "tables/zoo.md"],
    "quickstart": ["--short"],
    "benchmarks.multigrid": ["--seeds", "1", "--data", "data/synthav_many"],
    "benchmarks.balance": ["--seeds", "1", "--data", "data/synthav_many", "--ratio", "3", "--epochs", "2"],
    "benchmarks.scale": ["--batch", "1", "--steps", "2", "--repeats", "1"],
    "benchmarks.soak": ["--iterations", "20", "--seconds", "0.5"],
    "tests/helpers/matrix/report.py": ["--only", "h264"],
}
_SMALL_CLIPS = {key: SMALL[key] for key in ("DATA.TRAIN_CROP_SIZE", "DATA.TEST_CROP_SIZE", "DATA.TRAIN_JITTER_SCALES")}


def configuration(call):
    """The configuration of a training, test or check, without a file of the reader's."""
    name, script, words = call
    args = parser_of(name, script).parse(words)
    try:
        return load_cfg(find_config(args.config.removeprefix("configs/")), args.overrides), args
    except UnknownModelError:
        # A file of the reader's, whose own keys may belong to a plugin.
        keys = [word for pair in zip(args.overrides[::2], args.overrides[1::2]) if pair[0] in _PLACES for word in pair]
        return load_cfg(find_config("SynthAV/AVSLOWFAST_TINY"), keys), args


def additions(command):
    """Words that a test adds to a command: they make it small, and take a CPU for the GPUs that are not there."""
    call = call_in(command.words) if command.kind == "shell" else None
    for word in command.words:
        if word.startswith(("benchmarks.", "tests/")) and word in _ADDED:
            return _ADDED[word]
    if command.words[0] == "tensorboard":
        return ["--port", str(free_port())]
    if call is None or "..." in command.words:
        return []
    name, _, words = call
    if "--slurm" in words:
        return ["--dry-run"]
    if name == "synthav":
        variant = words[words.index("--variant") + 1] if "--variant" in words else "pairs"
        return [] if "--num-clips" in words else ["--num-clips", *["16"] * len(PARTS[variant])]
    if name == "predict" and "--model" in words:
        return ["--views", "1"]
    if name in _ADDED:
        return _ADDED[name]
    if name == "benchmark":
        return [*_BENCHMARK, *([] if "SynthAV" in command.text else flat(_SMALL_CLIPS))]
    if name == "app":
        return ["--port", str(free_port())]
    # The loss of one batch falls, whatever the weights.
    more = ["--steps", "20", "SOLVER.MAX_EPOCH", "20", "TRAIN.OVERFIT_BATCHES", "1"] if name == "lr-find" else []
    if name == "finetune":
        keys = SMALL if "--weights" in words and "--cfg" not in words else SHORT
        return flat(keys_not_given(keys, dict(zip(words, words[1:]))))
    return [*flat(training_keys(command, call)), *more] if name in _TRAINING else []


def training_keys(command, call):
    cfg, args = configuration(call)
    # PySlowFast's file stands for one of its Kinetics networks.
    large = cfg.DATA.TRAIN_CROP_SIZE > 128 or "my_pyslowfast.yaml" in command.words
    keys = dict(SMALL if large else SHORT)
    # The groups of the page's GPUs.
    keys |= {"BN.NUM_SYNC_DEVICES": 0} if cfg.BN.NUM_SYNC_DEVICES > 1 else {}
    given = dict(zip(args.overrides[::2], args.overrides[1::2]))
    ranks = re.search(r"--nproc_per_node=(\d+)", command.text) or re.search(r"NUM_GPUS (\d+)", command.text)
    if ranks and int(ranks[1]) > 1:
        keys["NUM_CPU_PROCESSES"] = keys["TRAIN.BATCH_SIZE"] = int(ranks[1])
        # Another network than that of the run which the page trains first.
        keys |= {"RESNET.WIDTH_PER_GROUP": 8, "OUTPUT_DIR": "output/ranks"}
        if "NUM_SHARDS" in command.words:
            keys |= {"DATA.PATH_TO_DATA_DIR": "data/synthav_many", "MODEL.NUM_CLASSES": 16}
            return keys_not_given(keys, given)
    if "--num_shards" in command.words or cfg.DATA.TRAIN_FRACTION < 1:
        # A part of a list that is short, of which a machine has its own batch.
        keys["TRAIN.BATCH_SIZE"] = 2
    if cfg.MULTIGRID.LONG_CYCLE:
        # Its shapes take turns between learning-rate steps, and have up to 16 times the batch.
        keys |= {"SOLVER.STEPS": "[0, 1]", "SOLVER.LRS": "[1, 0.1]", "SOLVER.MAX_EPOCH": 2, "TRAIN.BATCH_SIZE": 1}
        keys |= {"DATA.PATH_TO_DATA_DIR": "data/synthav_many", "MODEL.NUM_CLASSES": 16}
        return keys_not_given(keys, given)
    if cfg.DATA.PATH_TO_DATA_DIR == "my_lists" and cfg.MODEL.NUM_CLASSES > 6:
        # The reader's lists have more classes than the test's, which then have no names.
        return {**keys_not_given(keys, given), "DATA.PATH_TO_DATA_DIR": "lists"}
    if not cfg.DATA.PATH_TO_DATA_DIR:
        name = cfg.TRAIN.DATASET
        place = _PREPARED.get((command.page, name), _LISTS[name])
        keys["DATA.PATH_TO_DATA_DIR"], keys["DATA.PATH_PREFIX"] = place
        keys.update(_CLASSES.get(name, {}))
    if "--views" in command.words:
        given |= {"TEST.NUM_ENSEMBLE_VIEWS": "", "TEST.NUM_SPATIAL_CROPS": ""}
    return keys_not_given(keys, given)


def keys_not_given(keys, given):
    """Keys that a command does not set itself, and the number of GPUs."""
    return {key: value for key, value in keys.items() if key not in given or key == "NUM_GPUS"}


def inputs(command, added):
    """Names that a command reads: words that are no outputs, and what its configuration names."""
    if command.kind == "python":
        return set(re.findall(r'"([\w./]+)"', command.text))
    words = [*command.words, *added]
    names = {word for before, word in zip(["", *words], words) if before not in _OUTPUTS}
    names |= {f"{word}.py" for before, word in zip(words, words[1:]) if before == "--import"}
    call = call_in(command.words)
    if call and call[0] in (*_TRAINING, "pack"):
        cfg, _ = configuration((*call[:2], [*call[2], *(added if "--dry-run" not in added else ())]))
        names |= {
            cfg.DATA.PATH_TO_DATA_DIR,
            cfg.DATA.PATH_PREFIX,
            cfg.TRAIN.CHECKPOINT_FILE_PATH,
            cfg.TEST.CHECKPOINT_FILE_PATH,
        }
        names |= {"my_plugin.py"} if "my_network.yaml" in words else set()
    return {_ABSOLUTE.sub("root/", name) for name in names if name}


# Options that name what is read.
_READ = {"--weights", "--input", "--annotations", "--videos", "--scores", "--submission", "--detections"}


def named_inputs(command):
    """Paths that a command of this project reads by its options and keys."""
    if command.kind == "python" or (call := call_in(command.words)) is None or call[0] == "benchmark":
        return set()
    words, keys = command.words, ("_FILE_PATH", "DATA.PATH_TO_DATA_DIR", "DATA.PATH_PREFIX")
    found = {word for before, word in zip(words, words[1:]) if before in _READ or before.endswith(keys)}
    if call[0] in (*_TRAINING, "pack"):
        cfg, _ = configuration(call)
        found |= {cfg.DATA.PATH_TO_DATA_DIR, cfg.TRAIN.CHECKPOINT_FILE_PATH, cfg.TEST.CHECKPOINT_FILE_PATH}
    return {_ABSOLUTE.sub("root/", path) for path in found if path}


def outputs(command):
    """Paths that a command writes."""
    words = command.words if command.kind == "shell" else []
    found = {word for before, word in zip(words, words[1:]) if before in _OUTPUTS}
    if (call := call_in(words)) and call[0] == "train":
        found.add(configuration(call)[0].OUTPUT_DIR)
        plugin = ROOT / "examples/plugin" / call[2][0]
        found |= {yaml.safe_load(plugin.read_text())["OUTPUT_DIR"]} if plugin.is_file() else set()
    if call and call[0] == "finetune":
        found.add(f"output/{call[2][0]}")
    if call and call[0] == "convert":
        found.add(call[2][1])
    return found | (
        {f"{path}/{part}" for path in found for part in ("lists", "videos")} if "prepare" in words else set()
    )


def is_there(path, written):
    def begins(name):
        return re.match(rf"{re.escape(name)}(/|#|$)", path)

    return (ROOT / path).exists() or any(begins(name) for name in (*STAND_INS, *written))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def give(reader, command):
    """Run a command as a reader does.

    Returns:
        What is wrong: one text; "" where it ended well.
    """
    added = additions(command)
    reader.need(inputs(command, added))
    if command.kind == "python":
        return outcome(command, added, [start(reader, ["python", "-c", command.text])])
    text = " ".join([_ABSOLUTE.sub(f"{reader.folder}/root/", command.text), *map(quoted, added)])
    text = re.sub(r"HOST:\d+", f"127.0.0.1:{free_port()}", text)
    if shares := re.search(r"--shard 1/(\d+)", text):
        # The other machines of the comment behind it.
        text = "; ".join(text.replace(shares[0], f"--shard {i}/{shares[1]}") for i in range(1, int(shares[1]) + 1))
    processes = [start(reader, ["bash", "-euo", "pipefail", "-c", text])]
    if "--shard_id 0" in text:
        processes.append(start(reader, ["bash", "-c", text.replace("--shard_id 0", "--shard_id 1")]))
    if "--port" in added:
        serves(processes[0], f"http://127.0.0.1:{added[-1]}/")
    return outcome(command, added, processes)


def quoted(word):
    return f"'{word}'" if not word or set(word) & set("[]' ") else word


def start(reader, words):
    return subprocess.Popen(
        words, cwd=reader.folder, env=reader.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True, preexec_fn=hear_interrupts,
    )  # fmt: skip


def serves(process, address):
    """Wait until a server answers, and end it as a person does."""
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        try:
            assert urllib.request.urlopen(address, timeout=10).status == 200
            break
        except OSError:
            time.sleep(0.5)
    process.send_signal(signal.SIGINT)


def outcome(command, added, processes):
    began = time.monotonic()
    texts = []
    for process in processes:
        try:
            texts.append(process.communicate(timeout=_LONGEST)[0])
        except subprocess.TimeoutExpired:
            process.kill()
            texts.append(process.communicate()[0] + f"\nmore than {_LONGEST} s")
    print(f"{time.monotonic() - began:6.1f} s  {command.text}")
    if all(process.returncode == 0 for process in processes):
        return ""
    codes = [process.returncode for process in processes]
    remedy = (
        "mend it, make what it needs in helpers/standins.py, or say in helpers/pages.py, NOT_RUN, why it is not run"
    )
    return (
        f"{command.page}: {command.text}\n  + {' '.join(added)}\n  exit code {codes}: {remedy}\n"
        + "\n".join(texts)[-1500:]
    )


def test_the_table_of_what_is_not_run_is_current():
    left_out = [command.text for command in COMMANDS_OF_PAGES if command.why_not_run]
    print(f"{len(COMMANDS_OF_PAGES)} commands, {len(RUN)} run, {len(left_out)} not")
    assert [start for start in NOT_RUN if not any(re.match(start, text) for text in left_out)] == []
    named = {file for why in NOT_RUN.values() for file in re.findall(r"[\w./]+\.py|\.ci/run", why)}
    assert [file for file in named if not (ROOT / file).exists()] == []
    assert len(RUN) >= 100


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_command_reads_is_there(page):
    """Each input is a stand-in, a file of the repository, or written by an earlier command of the page."""
    written, missing = set(), []
    for command in (command for command in RUN if command.page == name_of(page)):
        missing += [(command.text, path) for path in named_inputs(command) if not is_there(path, written)]
        written |= outputs(command)
    assert missing == [], "make it in helpers/standins.py, STAND_INS"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder with the stand-ins that any page has needed."""
    return Reader(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def storage():
    """The environment of a reader who has an S3 server with a bucket."""
    with pytest.MonkeyPatch.context() as patch, s3_server(patch):
        yield {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page(page, store, storage, tmp_path):
    commands = [command for command in RUN if command.page == name_of(page)]
    reader = Reader(tmp_path, store)
    reader.env |= storage
    wrong = [problem for command in commands if (problem := give(reader, command))]
    assert not wrong, "\n\n".join(wrong)

"""What words of YAML and of the command line become, and YAML that no configuration needs."""

import os
import time

import pytest
from helpers import TINY, tiny_cfg
from hypothesis import given, settings
from hypothesis import strategies as st

from avslowfast.config import ConfigError, load_cfg, parse_cfg
from avslowfast.config.errors import value_of

# Texts that YAML or Python take for something else.
TEXTS = [
    "2024_11_25",
    "2024-11-25",
    "2024-11-25T10:30:00",
    "10:30",
    "1_000",
    "1.10",
    "1e3",
    "007",
    "0x10",
    "0b11",
    "0o17",
    "+5",
    "-1",
    ".5",
    "1.",
    "inf",
    "nan",
    ".inf",
    "True",
    "no",
    "On",
    "y",
    "None",
    "1,2",
    "a: b",
    "runs/a b",
    "a#b",
    "ünïcode",
    "日本",
    "=",
    "%",
    "it's",
    'a "b" c',
    "{a}",
]


def yaml_of(tmp_path, body, name="x.yaml"):
    (tmp_path / name).write_bytes(body if isinstance(body, bytes) else f"_BASE_: {TINY}\n{body}\n".encode())
    return tmp_path / name


ODD_TEXTS = [*TEXTS, "null", "[1]", "[slow, fast]", "(1, 2)", "*", "&a", "!x", "@", "- a", "# a", " "]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_a_text_of_the_command_line_stays_as_it_was_given(text):
    assert text == tiny_cfg("OUTPUT_DIR", text).OUTPUT_DIR


@pytest.mark.parametrize("text", [text for text in TEXTS if text[0] not in "%{" and ": " not in text])
def test_a_text_of_a_file_stays_as_it_was_given(tmp_path, text):
    assert text == load_cfg(yaml_of(tmp_path, f"OUTPUT_DIR: {text}")).OUTPUT_DIR


@pytest.mark.parametrize("text", ["2024_11_25", "1.10", "0x10", "10:30", "no", "2024-11-25"])
@pytest.mark.parametrize("key", ["AVA.TRAIN_GT_BOX_LISTS", "MULTI_HEAD.NAMES", "AVA.TEST_LISTS"])
def test_a_text_in_a_list_stays_as_it_was_given(tmp_path, text, key):
    if key == "MULTI_HEAD.NAMES":
        with pytest.raises(ConfigError, match="MULTI_HEAD.NAMES"):
            tiny_cfg(key, f"[{text}]")
        return
    node, leaf = key.split(".")
    assert value_of(tiny_cfg(key, f"[{text}, b]"), key) == [text, "b"]
    assert value_of(tiny_cfg(key, [text]), key) == [text]
    assert value_of(load_cfg(yaml_of(tmp_path, f"{node}:\n  {leaf}: [{text}]")), key) == [text]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_survives_the_configuration_that_a_run_writes(tmp_path, text):
    cfg = tiny_cfg("OUTPUT_DIR", text, "AVA.TEST_LISTS", [text])
    assert load_cfg(yaml_of(tmp_path, cfg.dump().encode())) == cfg


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20))
def test_any_text_stays_as_it_is_and_is_written_and_read_again(text):
    if text[0] in "\"'~":
        return
    cfg = tiny_cfg("OUTPUT_DIR", text)
    assert text == cfg.OUTPUT_DIR
    assert text == parse_cfg(cfg.dump(), "the text").OUTPUT_DIR


@pytest.mark.parametrize(
    "given, value",
    [
        ("'2024'", "2024"),
        ('"2024"', "2024"),
        ('"a b"', "a b"),
        ("'a", "'a"),
        ("'a' and 'b'", "'a' and 'b'"),
        ('"a', '"a'),
        (2024, "2024"),
        (1.5, "1.5"),
    ],
)
def test_quotes_around_a_text_are_no_part_of_it(given, value):
    assert value == tiny_cfg("OUTPUT_DIR", given).OUTPUT_DIR


SEPARATORS = [(r'"\t"', "\t"), ("\t", "\t"), (",", ","), (" ", " "), ("' '", " "), ("||", "||")]


@pytest.mark.parametrize("given, value", SEPARATORS)
def test_separators_are_taken_as_they_are(given, value):
    assert value == tiny_cfg("DATA.PATH_LABEL_SEPARATOR", given).DATA.PATH_LABEL_SEPARATOR


@pytest.mark.parametrize("nothing", ["", "null", "~", "Null", "''"])
def test_a_text_without_a_value_in_a_file_is_empty(tmp_path, nothing):
    assert load_cfg(yaml_of(tmp_path, f"DATA:\n  PATH_PREFIX: {nothing}")).DATA.PATH_PREFIX == ""


PATHS = [
    "OUTPUT_DIR",
    "DATA.PATH_TO_DATA_DIR",
    "DATA.PATH_PREFIX",
    "DATA.CLASS_NAMES_FILE",
    "TRAIN.CHECKPOINT_FILE_PATH",
    "TRAIN.MIRROR",
    "TEST.CHECKPOINT_FILE_PATH",
    "TEST.SAVE_RESULTS_PATH",
    "TENSORBOARD.LOG_DIR",
    "AVA.FRAME_DIR",
    "AVA.ANNOTATION_DIR",
    "AVA.LABEL_MAP_FILE",
    "AVA.EXCLUSION_FILE",
    "AVA.GROUNDTRUTH_FILE",
]


@pytest.mark.parametrize("key", PATHS)
def test_the_home_folder_is_expanded_in_every_path(tmp_path, monkeypatch, key):
    monkeypatch.setenv("HOME", "/home/me")
    assert value_of(tiny_cfg(key, "~/x"), key) == "/home/me/x"
    body = f"{key}: ~/x" if "." not in key else "{}:\n  {}: ~/x".format(*key.split("."))
    assert value_of(load_cfg(yaml_of(tmp_path, body)), key) == "/home/me/x"
    assert value_of(tiny_cfg(key, "a~b"), key) == "a~b"


def test_the_home_folder_is_expanded_in_lists_and_for_a_base(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [f"{tmp_path}/a.csv"] == tiny_cfg("AVA.TRAIN_GT_BOX_LISTS", "[~/a.csv]").AVA.TRAIN_GT_BOX_LISTS
    yaml_of(tmp_path, "MODEL: {NUM_CLASSES: 7}", "base.yaml")
    assert load_cfg(yaml_of(tmp_path, b"_BASE_: ~/base.yaml\n")).MODEL.NUM_CLASSES == 7


def test_a_path_may_be_a_path_of_python(tmp_path):
    assert str(tmp_path) == tiny_cfg("OUTPUT_DIR", tmp_path).OUTPUT_DIR


FREEZE = ["slow", "fast"]


@pytest.mark.parametrize(
    "word",
    [
        "[slow,fast]",
        "[slow, fast]",
        "['slow', 'fast']",
        '["slow","fast"]',
        "('slow', 'fast')",
        "(slow, fast)",
        "slow,fast",
        "[slow, fast,]",
        " [slow, fast] ",
        "[\n slow,\n fast]",
        FREEZE,
        tuple(FREEZE),
    ],
)
def test_a_list_on_the_command_line_is_read_as_in_yaml(word):
    assert tiny_cfg("FINETUNE.FREEZE", word).FINETUNE.FREEZE == FREEZE


LISTS = ["[slow, fast]", "\n  - slow\n  - fast", "(slow, fast)", "slow,fast", "['slow', \"fast\"]"]


@pytest.mark.parametrize("body", LISTS)
def test_a_list_in_a_file(tmp_path, body):
    assert load_cfg(yaml_of(tmp_path, f"FINETUNE:\n  FREEZE: {body}")).FINETUNE.FREEZE == FREEZE


@pytest.mark.parametrize("word", ["[]", "()", "[ ]", [], ()])
def test_an_empty_list(word):
    assert tiny_cfg("FINETUNE.FREEZE", word).FINETUNE.FREEZE == []


KERNELS = [[3], [4], [6], [3]]


@pytest.mark.parametrize("word", ["[[3],[4],[6],[3]]", KERNELS, [["3"], [4.0], (6,), [3]]])
def test_lists_in_lists(word):
    assert tiny_cfg("RESNET.NUM_BLOCK_TEMP_KERNEL", word).RESNET.NUM_BLOCK_TEMP_KERNEL == KERNELS


@pytest.mark.parametrize("word", ["((3,),(4,),(6,),(3,))", "[[3],[4],[6],[3]", "[3],[4],[6],[3]]", "[[3] [4] [6] [3]]"])
def test_lists_that_are_no_yaml_are_refused(word):
    with pytest.raises(ConfigError, match="command line: RESNET.NUM_BLOCK_TEMP_KERNEL is"):
        tiny_cfg("RESNET.NUM_BLOCK_TEMP_KERNEL", word)


@pytest.mark.parametrize("word", ["no", "No", "NO", "off", "Off", "false", "False", "FALSE", "'no'", False])
def test_false(tmp_path, word):
    assert tiny_cfg("TRAIN.ENABLE", word).TRAIN.ENABLE is False
    assert load_cfg(yaml_of(tmp_path, f"TRAIN:\n  ENABLE: {word}")).TRAIN.ENABLE is False
    assert tiny_cfg("SLOWFAST.AVS_FLAG", f"[{word},{word},yes,on,True]").SLOWFAST.AVS_FLAG == [False] * 2 + [True] * 3


@pytest.mark.parametrize("word", ["yes", "Yes", "YES", "on", "ON", "true", "TRUE", '"yes"', True])
def test_true(tmp_path, word):
    assert tiny_cfg("EMA.ENABLE", word).EMA.ENABLE is True
    assert load_cfg(yaml_of(tmp_path, f"EMA:\n  ENABLE: {word}")).EMA.ENABLE is True


@pytest.mark.parametrize(
    "word, value",
    [
        ("1e-4", 1e-4),
        ("1E-4", 1e-4),
        ("1.0e-04", 1e-4),
        (".0001", 1e-4),
        ("+0.5", 0.5),
        ("5.", 5.0),
        ("2", 2.0),
        ("1_0.5", 10.5),
        ("0x10", 16.0),
        ("'0.5'", 0.5),
        (2, 2.0),
    ],
)
def test_numbers(tmp_path, word, value):
    found = tiny_cfg("SOLVER.CLIP_GRAD_L2NORM", word).SOLVER.CLIP_GRAD_L2NORM
    assert (found, type(found)) == (value, float)
    assert value == load_cfg(yaml_of(tmp_path, f"SOLVER: {{CLIP_GRAD_L2NORM: {word}}}")).SOLVER.CLIP_GRAD_L2NORM


@pytest.mark.parametrize("word", ["10", "1e1", "10.0", "0xA", "1_0", "+10", 10.0])
def test_whole_numbers(word):
    found = tiny_cfg("SOLVER.MAX_EPOCH", word).SOLVER.MAX_EPOCH
    assert (found, type(found)) == (10, int)


# YAML reads these as 8, 630 and 600: nobody means that.
@pytest.mark.parametrize("word", ["010", "10:30", "10:00", "1 0", "10,5", "ten", "0o12", "1__0"])
def test_numbers_that_mean_something_else_to_yaml_are_refused(tmp_path, word):
    with pytest.raises(ConfigError, match=r"x\.yaml, line 3: SOLVER.MAX_EPOCH is"):
        load_cfg(yaml_of(tmp_path, f"SOLVER:\n  MAX_EPOCH: {word}"))
    with pytest.raises(ConfigError, match="command line: SOLVER.MAX_EPOCH is"):
        tiny_cfg("SOLVER.MAX_EPOCH", word)


BOMB = "a: &a {x: 1}\n" + "".join(
    f"{this}: &{this} {{{', '.join(f'{key}: *{before}' for key in 'pqrstuvw')}}}\n"
    for before, this in zip("abcdefgh", "bcdefghi")
)
LIST_BOMB = "DATA:\n  MEAN: &a [1, 2, 3]\n  STD: " + "[*a" * 8 + "]" * 8 + "\n"
WIDE_BOMB = (
    "TRAIN:\n"
    + "  A0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"  A{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(9))
)
BAD_YAML = [
    ("OUTPUT_DIR: !!python/object/apply:os.system ['true']", "line 2: the tag"),
    ("OUTPUT_DIR: !!python/name:os.system", "line 2: the tag"),
    ("OUTPUT_DIR: !!python/object/new:os.system {}", "line 2: the tag"),
    ("OUTPUT_DIR: !mine x", "line 2: the tag !mine is not read"),
    ("OUTPUT_DIR: !<tag:x,2000:y> z", "line 2: the tag"),
    ("OUTPUT_DIR: !!binary aGVsbG8=", "line 2: the tag"),
    ("FINETUNE:\n  FREEZE: !!set {slow, fast}", "line 3: the tag"),
    ("DATA: !!omap [MEAN: [1, 2, 3]]", "line 2"),
    ("SOLVER: &a\n  X: *a", "line 3: *a repeats a group of keys"),
    ("SOLVER: &a {X: {Y: *a}}", "line 2: *a repeats a group of keys"),
    ("SOLVER: &a {BASE_LR: 0.1}\nTRAIN: *a", "line 3: *a repeats a group of keys"),
    ("SOLVER: &a {BASE_LR: 0.1}\nTRAIN:\n  <<: *a", "line 4: *a repeats a group of keys"),
    ("DATA:\n  MEAN: &a [*a]", "line 3: *a puts a list into itself"),
    ("DATA:\n  MEAN: &a [[[*a]]]", "line 3: *a puts a list into itself"),
    ("DATA:\n  MEAN: *nothing", "line 3: *nothing names nothing"),
    (BOMB, "line 3: *a repeats a group of keys"),
    (LIST_BOMB, "x.yaml, line"),
    (WIDE_BOMB, "a list of more than 10000 values"),
    ("DATA:\n  MEAN: " + "[" * 2000 + "]" * 2000, "line 3: more than 12 lists or groups inside each other"),
    ("DATA:\n  MEAN: " + "[" * 2000, "line 3"),
    ("{a: " * 2000 + "1" + "}" * 2000, "line 2"),
    ("DATA: {" + "a: {" * 50 + "}" * 51, "line 2: more than 12 lists or groups inside each other"),
    ("DATA:\n  MEAN: [" + "1, " * 20000 + "1]", "10000 values"),
    ("\n".join(f"K{n}: 1" for n in range(11000)), "more than 10000 values"),
    ("OUTPUT_DIR: " + "x" * 1_100_000, "characters, which no configuration has"),
    ("OUTPUT_DIR: " + "x" * 5_000_000, "bytes, which no configuration has"),
    ("SOLVER:\n\tBASE_LR: 1", "line 3: not valid YAML"),
    ("NUM_GPUS: 0\nNUM_GPUS: 0", "line 3: NUM_GPUS is given twice; the first is on line 2"),
    ("SOLVER: {BASE_LR: 0.1}\nSOLVER.BASE_LR: 0.1", "line 3: SOLVER.BASE_LR is given twice"),
    ("---\nNUM_GPUS: 0", "line 2: a second document"),
    ("DATA: {MEAN: [1,2", "not valid YAML"),
    ("SOLVER: 3", "line 2: SOLVER is a group of keys, not a value; set one of its keys, e.g. SOLVER."),
    ("SOLVER: [1]", "line 2: SOLVER is a group of keys"),
    ("SOLVER: {}", "line 2: SOLVER is a group of keys"),
    ("FOO: {}", "line 2: unknown key FOO"),
    ("OUTPUT_DIR: {}", "line 2: OUTPUT_DIR is {}"),
    ("LOGGERS: {}", "line 2: LOGGERS is {}"),
    ("NUM_GPUS: {}", "line 2: NUM_GPUS is"),
    ("NUM_GPUS:\n  COUNT: 1", "line 3: unknown key NUM_GPUS.COUNT"),
    ("? [a, b]\n: c", "line 2: a key is a name"),
    ("? {a: b}\n: c", "line 2: a key is a name"),
    ("- NUM_GPUS", "not valid YAML"),
    ("DATA:\n  MEAN: [{a: 1}]", "line 3: a mapping inside a list"),
    ("DATA:\n  MEAN: [a: 1]", "line 3: a mapping inside a list"),
    ('OUTPUT_DIR: "a\\nb"', "line 2: OUTPUT_DIR is 'a\\nb': it has a line break"),
    ('OUTPUT_DIR: "a\\0b"', "line 2: OUTPUT_DIR is"),
    ('OUTPUT_DIR: "\\UFFFFFFFF"', "not valid YAML"),
    ('OUTPUT_DIR: "\\ud800"', "OUTPUT_DIR is '\\ud800': it has bytes that are no UTF-8"),
    ("OUTPUT_DIR: |\n  a\n  b", "line 2: OUTPUT_DIR is 'a\\nb"),
    ("%YAML 9.9\n---\nNUM_GPUS: 0", "not valid YAML"),
    ("OUTPUT_DIR: @x", "line 2: not valid YAML"),
    ("OUTPUT_DIR: 'x", "not valid YAML"),
    ("_BASE_: [a.yaml]", "_BASE_ is given twice"),
]


@pytest.mark.parametrize("body, words", BAD_YAML, ids=[body[:30] for body, _ in BAD_YAML])
def test_yaml_that_no_configuration_needs_is_one_line_and_fast(tmp_path, body, words):
    began = time.perf_counter()
    with pytest.raises(ConfigError) as error:
        load_cfg(yaml_of(tmp_path, body))
    message = str(error.value)
    assert message.startswith(str(tmp_path / "x.yaml"))
    assert words in message
    assert "\n" not in message
    assert len(message) < 700
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("body", [BOMB, WIDE_BOMB, "DATA: &a\n  X: *a", "[" * 3000, "a: !!python/name:os.system"])
def test_yaml_inside_a_checkpoint_is_read_as_carefully(body):
    with pytest.raises(ConfigError, match=r"^configuration inside x\.pyth") as error:
        parse_cfg(body, "configuration inside x.pyth")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, words",
    [
        (bytes(range(128, 256)) * 20, "the encoding is not UTF-8"),
        (b"NUM_GPUS: 0\nOUTPUT_DIR: na\xefve\n", "line 2: the encoding is not UTF-8"),
        ("NUM_GPUS: 0\n".encode("utf-16"), "the encoding is UTF-16"),
        (b"OUTPUT_DIR: a\0b\n", "a null character"),
        (b"PK\x03\x04" + bytes(200), "null character"),
        (b"- a\n- b\n", "line 1: it is no configuration; a configuration is a mapping"),
        (b"just words\n", "line 1: it is no configuration"),
        (b"*a\n", "line 1: it is no configuration"),
        (b"<!DOCTYPE html>\n<html></html>\n", "line 1"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(tmp_path, content, words):
    with pytest.raises(ConfigError) as error:
        load_cfg(yaml_of(tmp_path, content))
    assert str(error.value).startswith(str(tmp_path / "x.yaml"))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["x.pyth", "x.pth", "x.pt", "x.pkl", "x.safetensors"])
@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(100), b"\x80\x02}q\x00.", bytes(5_000_000)])
def test_a_checkpoint_is_no_configuration(tmp_path, name, content):
    with pytest.raises(ConfigError, match="it is a checkpoint, no configuration; that of its run is config.yaml"):
        load_cfg(yaml_of(tmp_path, content, name))


@pytest.mark.parametrize("empty", [b"", b"\n", b"# only a comment\n", b"---\n", b"null\n", b"{}\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_the_defaults(tmp_path, empty):
    assert load_cfg(yaml_of(tmp_path, empty)).MODEL.NUM_CLASSES == 400


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_ends_of_lines_of_any_kind(tmp_path, end):
    body = end.join([f"_BASE_: {TINY}", "MODEL:", "  NUM_CLASSES: 7", ""])
    assert load_cfg(yaml_of(tmp_path, b"\xef\xbb\xbf" + body.encode())).MODEL.NUM_CLASSES == 7


def test_aliases_of_values_and_lists_are_read(tmp_path):
    body = "DATA:\n  TRAIN_CROP_SIZE: &side 32\n  TEST_CROP_SIZE: *side\n  MEAN: &m [.1, .2, .3]\n  STD: *m"
    cfg = load_cfg(yaml_of(tmp_path, body))
    assert (cfg.DATA.TEST_CROP_SIZE, cfg.DATA.STD) == (32, [0.1, 0.2, 0.3])
    assert cfg.DATA.STD is not cfg.DATA.MEAN


# ---- _BASE_ ----


def test_a_base_by_another_spelling_is_the_file_itself(tmp_path):
    (tmp_path / "cfg").mkdir()
    path = yaml_of(tmp_path / "cfg", b"_BASE_: ../cfg/x.yaml\n")
    with pytest.raises(ConfigError, match=r"x\.yaml, line 1: _BASE_ leads back to the file itself"):
        load_cfg(path)


def test_a_base_that_is_a_link_to_the_file_itself(tmp_path):
    (tmp_path / "link.yaml").symlink_to("x.yaml")
    with pytest.raises(ConfigError, match=r"x\.yaml, line 1: _BASE_ leads back to the file itself"):
        load_cfg(yaml_of(tmp_path, b"_BASE_: link.yaml\n"))


def test_three_files_in_a_circle(tmp_path):
    for name, base in (("a", "b"), ("b", "c"), ("c", "./a")):
        yaml_of(tmp_path, f"_BASE_: {base}.yaml\n".encode(), f"{name}.yaml")
    with pytest.raises(ConfigError, match=r"c\.yaml, line 1: _BASE_ leads back .*a\.yaml -> .*b\.yaml -> .*c\.yaml"):
        load_cfg(tmp_path / "a.yaml")


def test_a_link_that_leads_to_itself(tmp_path):
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(ConfigError, match=r"x\.yaml, line 1: _BASE_ loop\.yaml"):
        load_cfg(yaml_of(tmp_path, b"_BASE_: loop.yaml\n"))


def test_hundreds_of_files_may_build_on_one_another(tmp_path):
    yaml_of(tmp_path, "MODEL: {NUM_CLASSES: 7}", "0.yaml")
    for number in range(1, 1500):
        (tmp_path / f"{number}.yaml").write_text(f"_BASE_: {number - 1}.yaml\n")
    assert load_cfg(tmp_path / "1499.yaml").MODEL.NUM_CLASSES == 7


def test_a_base_lies_beside_a_link_or_beside_what_it_leads_to(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    yaml_of(tmp_path / "a", b"_BASE_: base.yaml\n", "own.yaml")
    yaml_of(tmp_path / "a", "MODEL: {NUM_CLASSES: 7}", "base.yaml")
    (tmp_path / "b/own.yaml").symlink_to("../a/own.yaml")
    assert load_cfg(tmp_path / "b/own.yaml").MODEL.NUM_CLASSES == 7
    yaml_of(tmp_path / "b", "MODEL: {NUM_CLASSES: 8}", "base.yaml")
    assert load_cfg(tmp_path / "b/own.yaml").MODEL.NUM_CLASSES == 8


@pytest.mark.parametrize("base", ["", "~", "null", "''"])
def test_a_base_may_be_empty(tmp_path, base):
    assert load_cfg(yaml_of(tmp_path, f"_BASE_: {base}\nMODEL: {{NUM_CLASSES: 7}}\n".encode())).MODEL.NUM_CLASSES == 7


@pytest.mark.parametrize(
    "base, words",
    [
        ("nope.yaml", "_BASE_ nope.yaml: neither a file nor the name"),
        ("/nope.yaml", "_BASE_ /nope.yaml: neither a file nor the name"),
        (".", r"_BASE_ \.: "),
        ("/dev/null", "_BASE_ /dev/null: "),
        ("[a.yaml]", "_BASE_ is one file"),
        ("{a: b}", "unknown key _BASE_"),
        ("!!python/name:os.system x", "the tag"),
    ],
)
def test_a_base_that_is_no_file_names_the_file_that_asks(tmp_path, base, words):
    with pytest.raises(ConfigError, match=rf"x\.yaml, line 1: .*{words}" if "!" not in base else words):
        load_cfg(yaml_of(tmp_path, f"_BASE_: {base}\n".encode()))


def test_a_base_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="pipe.yaml"):
        load_cfg(yaml_of(tmp_path, b"_BASE_: pipe.yaml\n"))
    with pytest.raises(ConfigError, match="pipe.yaml"):
        load_cfg(tmp_path / "pipe.yaml")

"""The table of keys: each has its default, what it takes and what it means in one row, and refuses everything else."""

import math
import re

import pytest
from helpers import ROOT, tiny_cfg

from avslowfast.config import comment_of, ConfigError, get_cfg
from avslowfast.config.errors import value_of
from avslowfast.config.ranges import Choice, Entry, Flag, ListOf, Number, Text
from avslowfast.config.reading import Scalar
from avslowfast.config.table import TABLE

ROWS = list(TABLE.values())
EACH_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
NOT_NUMBERS = [
    "many",
    "",
    "nan",
    ".nan",
    "inf",
    "-.inf",
    "1e999",
    "-1e999",
    "9" * 5000,
    "010",
    "10:30",
    "1,2",
    "0b1",
    "1e",
    "²",
    "٣",
    True,
    None,
    [],
    [1],
    {},
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    -(10**400),
    10**5000,
]


def wrong_flags(takes):
    yield from ("maybe", "", "1", "nan", 1, 0, 1.0, None, [], [True], {})
    if takes.refused:
        yield from ("True", "yes", True)


def wrong_numbers(takes):
    low, high = takes.low, takes.high
    yield from (*NOT_NUMBERS, low - 1, high + 1, str(low - 1), f"{high * 10 + 1:.0f}")
    yield from [low] if takes.above else []
    yield from [high] if takes.below else []
    yield from [2] if takes.odd else []
    yield from [low + 0.5, str(low + 0.5)] if takes.whole else []


def wrong_texts(takes):
    yield from ("a\nb", "a\rb", "a\0b", ["a"], {}, "\udc80", "x" * 5000, 10**5000, math.inf)
    yield from [] if takes.empty else ["", "''", '""', None, Scalar("", null=True)]
    yield from ["!", "1 2"] if takes.pattern else []
    yield from ["{", "}", "{}", "{0}", "{a.b}", "{a[0]}", "{video", "{a:>999999999}", "{a!r}"] if takes.fields else []


def wrong_choices(takes):
    yield from ("no_such", "", "nan", None, [], list(takes.options), {}, 10**5000, 7.5)


def wrong_entries(takes):
    yield from ("no_such", "a b", None, [], 3, True, {})
    yield from [] if takes.empty else [""]


def wrong_lists(takes):
    yield from ("word", "", 5, None, True, {}, "[", "[[", "{a: 1}", "[1, 2")
    for wrong in wrong_values(takes.item):
        yield [wrong] * max(takes.shortest, 1)
    yield from [[], "[]", "()"] if takes.shortest else []


WRONG = {
    Flag: wrong_flags,
    Number: wrong_numbers,
    Text: wrong_texts,
    Choice: wrong_choices,
    Entry: wrong_entries,
    ListOf: wrong_lists,
}


def wrong_values(takes):
    """Values that a range has to refuse: of another type, not finite, out of bounds, too long, with wrong items."""
    return WRONG[type(takes)](takes)


@EACH_ROW
def test_every_key_has_a_comment_and_says_what_it_takes(row):
    assert len(row.comment) > 8
    assert row.comment.endswith((".", ")", '".')), row.comment
    assert comment_of(row.name) == row.comment
    assert row.range.what.startswith(("a ", "an ", "one of ", "the name of ", "True or False", "rand-"))


@EACH_ROW
def test_a_default_is_in_its_range_and_survives_being_read_twice(row):
    value = row.read(row.default)
    assert type(value) is type(row.default)
    assert row.read(value) == value == value_of(get_cfg(), row.name)


@EACH_ROW
def test_values_out_of_range_are_one_line_that_names_the_key(row):
    values = list(wrong_values(row.range))
    assert len(values) > 5
    for wrong in values:
        with pytest.raises(ConfigError) as error:
            row.read(wrong, "x.yaml, line 3")
            pytest.fail(f"{row.name} took {wrong!r:.80}")
        message = str(error.value)
        assert message.startswith(f"x.yaml, line 3: {row.name} is ")
        assert "\n" not in message
        assert len(message) < 1000
        assert "; " in message


@EACH_ROW
def test_a_value_out_of_range_is_refused_where_it_is_set(row):
    wrong = next(value for value in wrong_values(row.range) if isinstance(value, str))
    with pytest.raises(ConfigError) as error:
        tiny_cfg(row.name, wrong)
    assert str(error.value).startswith(f"command line: {row.name} is ")


def test_every_range_of_numbers_has_two_bounds():
    def numbers(takes):
        return numbers(takes.item) if isinstance(takes, ListOf) else [takes] if isinstance(takes, Number) else []

    found = [(row.name, number) for row in ROWS for number in numbers(row.range)]
    assert len(found) > 100
    assert [name for name, number in found if not -1e9 <= number.low < number.high <= 2**32] == []


def test_a_list_that_is_longer_than_its_range_is_refused():
    with pytest.raises(ConfigError, match="SLOWFAST.FS_FUSION is .*a list of 4 values"):
        tiny_cfg("SLOWFAST.FS_FUSION", [True] * 5)


@pytest.mark.parametrize("row", [row for row in ROWS if isinstance(row.range, Number)], ids=lambda row: row.name)
def test_the_bounds_themselves_belong_to_a_range_that_is_closed(row):
    takes = row.range
    ends = [*([] if takes.above else [takes.low]), *([] if takes.below else [takes.high])]
    assert [row.read(end) for end in ends] == ends


def test_every_key_is_read_or_said_to_be_inert():
    folder = ROOT / "avslowfast"
    source = "".join(path.read_text() for path in folder.rglob("*.py") if not path.name.startswith("defaults"))
    # A pathway's kind is read by the name of the pathway; a flag that is refused has nothing to read.
    rows = [row for row in ROWS if not row.name.startswith("PATHWAY.") and not getattr(row.range, "refused", "")]
    unread = [row for row in rows if not re.search(rf"\b{row.name.split('.')[-1]}\b", source)]
    assert [row.name for row in unread if not row.inert] == []


def test_no_two_rows_are_of_one_key():
    files = [path.read_text() for path in (ROOT / "avslowfast/config").glob("defaults*.py")]
    names = re.findall(r'^    key\("([A-Z_0-9.]+)"', "\n".join(files), re.M)
    assert sorted(names) == sorted(set(names)) == sorted(TABLE)


def test_the_table_is_as_large_as_it_was():
    # A slip while editing rows loses keys without a word.
    assert len(ROWS) > 230

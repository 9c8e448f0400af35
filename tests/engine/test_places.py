"""Which process of a job this is, by its environment: as torchrun sets it, and with variables that make no sense."""

import pytest
from helpers.mistakes import message_of

from avslowfast.engine.places import Address, Place, processes_here

GOOD = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "n",
    "MASTER_PORT": "9",
}


@pytest.fixture
def environment(monkeypatch):
    def change(**values):
        for name, value in {**GOOD, **values}.items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)

    return change


def test_the_place_that_torchrun_gives(environment):
    environment()
    assert Place.of_torchrun() == Place(3, 1, 4, Address("n", 9))
    assert processes_here(4) == 2
    environment(LOCAL_WORLD_SIZE=None)
    assert processes_here(4) == 1


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("WORLD_SIZE", "0", "from 1 to 1000000"),
        ("WORLD_SIZE", "x", "a whole number"),
        ("WORLD_SIZE", "", "a whole number"),
        ("RANK", "4", "from 0 to 3"),
        ("RANK", "-1", "from 0 to 3"),
        ("RANK", "1.0", "from 0 to 3"),
        ("LOCAL_RANK", "٣", "from 0 to 3"),
        ("LOCAL_RANK", None, "from 0 to 3"),
        ("MASTER_ADDR", None, "the name of a machine"),
        ("MASTER_ADDR", " ", "the name of a machine"),
        ("MASTER_PORT", None, "from 1 to 65535"),
        ("MASTER_PORT", "65536", "from 1 to 65535"),
        ("MASTER_PORT", "0", "from 1 to 65535"),
    ],
)
def test_variables_that_make_no_sense_are_named(environment, name, value, said):
    environment(**{name: value})
    text = message_of(Place.of_torchrun)
    assert text.startswith(f"{name} is {value or ''!r} in the environment, and has to be ") and said in text


@pytest.mark.parametrize("value", ["0", "5", "x"])
def test_a_number_of_processes_that_makes_no_sense_is_named(environment, value):
    environment(LOCAL_WORLD_SIZE=value)
    assert message_of(processes_here, 4).startswith(f"LOCAL_WORLD_SIZE is {value!r} in the environment")
